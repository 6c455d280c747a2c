import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { writeLauncher } from './launcher.ts'
import { lackOfOwnCores, onCore } from './own-cores.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'hearth cores-'))
afterAll(() => rmSync(folder, { recursive: true }))

test.skipIf(lackOfOwnCores(2) !== null)('a program and what it starts keep to their core', async () => {
  for (const core of [0, 1]) {
    const sh = await writeLauncher(path.join(folder, `on ${core}`), [onCore(core)], '/bin/sh')
    const { stdout } = spawnSync(sh, ['-c', 'grep Cpus_allowed_list /proc/self/status'])
    expect(String(stdout)).toMatch(new RegExp(`:\\s+${core}\\n`))
  }
})

test('more devices than cores share them, and a sentence says so', () => {
  expect(lackOfOwnCores(100_000)).toMatch(/./)
})
