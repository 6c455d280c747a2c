import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

/** Every module that importing `path` runs, packages by their name. */
function reached(path: URL, seen = new Set<string>()): Set<string> {
  if (seen.has(path.href)) return seen
  seen.add(path.href)
  for (const [, specifier = ''] of readFileSync(path, 'utf8').matchAll(
    /^(?:import|export) (?!type ).*?from '(.*?)'/gms,
  )) {
    if (specifier.startsWith('.')) reached(new URL(specifier, path), seen)
    else seen.add(specifier)
  }
  return seen
}

it('pages and the server that import the planner load arithmetic only: no node module, no HiGHS', () => {
  const modules = [...reached(new URL('index.ts', import.meta.url))]
  expect(modules.filter((module) => !module.startsWith('file:'))).toEqual([])
  expect(modules.filter((module) => module.includes('/paper/'))).toEqual([])
  expect(modules.length).toBeGreaterThan(8)
})
