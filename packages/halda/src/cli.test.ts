import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readExample } from './example.fixture.ts'
import { planExact } from './solve-exact.ts'

const pathOf = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const household = pathOf('../examples/household-llama-3-8b.json')

function plan(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', pathOf('cli.ts'), ...args],
    {
      encoding: 'utf8',
    },
  )
  return { status, stdout, stderr }
}

describe('npm run plan', () => {
  it('prints the plan as JSON and nothing else', () => {
    const { status, stdout } = plan(household)
    const { devices, model } = readExample('household-llama-3-8b.json')
    const expected = planExact(devices, model)
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toEqual(expected.ok && expected.plan)
  })

  it('prints a table of every device with --explain, for the solver asked for', () => {
    const { status, stdout } = plan(
      household,
      '--explain',
      '--solver',
      'manual',
      '--layers',
      '12,14,4,2',
      '--rounds',
      '2',
    )
    expect(status).toBe(0)
    expect(stdout).toMatch(/desktop-bob +head +14 \(6–12, 22–28\)/)
    expect(stdout).toMatch(/all +32 .* per token/)
  })

  it('plans as the paper does with --solver paper, for the first device as head', () => {
    const { status, stdout } = plan(household, '--solver', 'paper')
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      head: 'laptop-alice',
      rounds: 1,
      windows: [{ layers: 20 }, { layers: 12 }],
    })
  })

  it.each([
    [['no-such-file.json'], 'no-such-file.json cannot be read'],
    [[pathOf('cli.ts')], 'is not JSON'],
    [[pathOf('../package.json')], 'must hold an object with "devices" and "model"'],
    [[household, '--solver', 'magic'], 'There is no solver magic; there are exact'],
    [[household, '--solver', 'exhaustive'], 'use --solver exact'],
    [[household, '--solver', 'manual', '--layers', '1,2,3'], 'add up to 6'],
    [[household, '--solver', 'single'], 'This model needs'],
    [[household, '--solver', 'paper', '--head', 'tablet-charlie'], 'tablet-charlie cannot hold'],
    [[household, '--solver', 'paper', '--head', 'dave'], 'The head dave is not among'],
    [[household, '--colour'], "Unknown option '--colour'"],
    [[], 'Give one file of profiles'],
  ])('says what is wrong with %j in a sentence and exits with 1', (args, sentence) => {
    const { status, stdout, stderr } = plan(...args)
    expect(stderr).toContain(sentence)
    expect(stderr).not.toContain('    at ')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  })
})
