/**
 * `npm run cluster` as a program: what it prints, how it ends, what it leaves behind.
 */
import { spawn } from 'node:child_process'
import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from '@playwright/test'
import { findControlGroups } from '../cluster/control-groups.ts'

const root = path.resolve(import.meta.dirname, '../..')
let folder: string

test.beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'hearth-command-'))
})
test.afterEach(() => rm(folder, { recursive: true, force: true }))

/** Whatever the command puts into the folder for temporary files is in `folder`. */
function start(...args: string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', 'tests/cluster/cli.ts', ...args], {
    cwd: root,
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text) => (stdout += text))
  child.stderr.on('data', (text) => (stderr += text))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  return { child, ended, stdout: () => stdout, stderr: () => stderr }
}

const leftBehind = async () =>
  (await readdir(folder)).filter((name) => /^hearth|playwright|chromium/i.test(name))

type Capped = {
  text: string
  devices: { memoryBytes: number; realResidentBytes: number | null; realPeakBytes: number | null }[]
}

/** Control groups that a process made, of version 1 or 2; none where the machine has none. */
async function groupsOf(pid: number): Promise<string[]> {
  const folders = ['/sys/fs/cgroup', '/sys/fs/cgroup/memory', '/sys/fs/cgroup/blkio']
  const names = await Promise.all(folders.map((folder) => readdir(folder).catch(() => [])))
  return names.flat().filter((name) => name.startsWith(`hearth-${pid}-`))
}

test('--json prints one object and nothing else, also for a file outside the project', async () => {
  const model = path.join(folder, 'our own model.gguf')
  await copyFile(path.join(root, 'public/models/demo-q8_0.gguf'), model)
  const run = start('--devices', '1', '--model', model, '--prompt', 'What is 7 + 5?', '--json')
  expect(await run.ended, run.stderr()).toBe(0)
  const result = JSON.parse(run.stdout()) as Record<string, unknown>
  expect(result['text']).toBe('7 plus 5 is 12.')
  expect(Object.keys(result)).toEqual(
    expect.arrayContaining(['text', 'plan', 'ttftMs', 'tpotMs', 'promptTokens', 'outputTokens', 'devices']),
  )
  expect(result['devices']).toHaveLength(1)
  expect(await leftBehind()).toEqual([])
})

test('--cap and --disk-cap hold for the real browser, or are said to be beyond this machine', async () => {
  const caps = ['--cap', '900MB', '--disk-cap', '500']
  const run = start('--devices', '1', '--prompt', 'What is 7 + 5?', '--json', ...caps)
  expect(await run.ended, run.stderr()).toBe(0)
  const { text, devices } = JSON.parse(run.stdout()) as Capped
  expect(text).toBe('7 plus 5 is 12.')
  const groups = findControlGroups(folder)
  if (typeof groups === 'string') {
    expect(run.stderr()).toContain('browsers run without real caps')
    expect(devices[0]!.realPeakBytes).toBeNull()
    return
  }
  const { memoryBytes, realResidentBytes, realPeakBytes } = devices[0]!
  expect(realResidentBytes).toBeGreaterThan(memoryBytes)
  expect(realPeakBytes).toBeGreaterThan(realResidentBytes!)
  expect(realPeakBytes).toBeLessThanOrEqual(900e6)
  expect(await groupsOf(run.child.pid!)).toEqual([])
})

test('a signal closes the browsers and removes their profiles', async () => {
  const run = start('--devices', '2', '--cap', '2GB', '--prompt', 'Tell me a story about a fox')
  await expect.poll(run.stderr, { timeout: 30_000 }).toContain('alice joined')
  expect(await leftBehind()).not.toEqual([])
  if (typeof findControlGroups(folder) !== 'string') expect(await groupsOf(run.child.pid!)).not.toEqual([])
  run.child.kill('SIGTERM')
  expect(await run.ended).toBe(128 + 15)
  expect(run.stdout()).toBe('')
  expect(await leftBehind()).toEqual([])
  expect(await groupsOf(run.child.pid!)).toEqual([])
})

test('what cannot be is refused in a sentence, before anything starts', async () => {
  const refusals: [string[], string][] = [
    [['--devices', '0'], '--devices takes a whole number from 1 to 8'],
    [['--cap', '900'], '--cap takes sizes such as 512MB or 1.5GB'],
    [['--temperature', 'warm'], '--temperature takes a number from 0 to 10'],
    [['--model', 'nowhere.gguf'], 'There is no model nowhere.gguf'],
    [['--colour', 'red'], 'Unknown option'],
  ]
  const runs = refusals.map(([args, sentence]) => ({ sentence, ...start(...args) }))
  for (const run of runs) {
    expect(await run.ended).toBe(1)
    expect(run.stderr()).toContain(run.sentence)
    expect(run.stdout()).toBe('')
  }
  expect(await leftBehind()).toEqual([])
})
