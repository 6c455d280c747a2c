import { spawnSync } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readExample } from './example.fixture.ts'
import { planCommand } from './plan-command.ts'
import { planExact } from './solve-exact.ts'

const pathOf = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const household = pathOf('../examples/household-llama-3-8b.json')

async function plan(...args: string[]): Promise<string> {
  const result = await planCommand(args)
  if (!result.ok) throw new Error(result.message)
  return result.output
}

describe('npm run plan', () => {
  it('prints the plan as JSON', async () => {
    const { devices, model } = readExample('household-llama-3-8b.json')
    const expected = planExact(devices, model)
    expect(JSON.parse(await plan(household))).toEqual(expected.ok && expected.plan)
  })

  it('prints a table of every device with --explain, for the solver asked for', async () => {
    const manual = ['--solver', 'manual', '--layers', '12,14,4,2', '--rounds', '2']
    const table = await plan(household, '--explain', ...manual)
    expect(table).toMatch(/desktop-bob +head +14 \(6–12, 22–28\)/)
    expect(table).toMatch(/all +32 .* per token/)
  })

  it('fills in the devices that a manual plan leaves open', async () => {
    const manual = ['--solver', 'manual', '--rounds', '2', '--head', 'laptop-alice']
    const { windows, rounds, head } = JSON.parse(await plan(household, ...manual, '--layers', '8,-,-,0'))
    const ofLaptop = windows.filter(({ device }: { device: string }) => device === 'laptop-alice')
    expect({ rounds, head, ofLaptop }).toMatchObject({
      rounds: 2,
      head: 'laptop-alice',
      ofLaptop: [{ layers: 4 }, { layers: 4 }],
    })
    expect(windows.map(({ device }: { device: string }) => device)).not.toContain('phone-dora')
    expect(windows.reduce((sum: number, { layers }: { layers: number }) => sum + layers, 0)).toBe(32)
  })

  it('plans as the paper does with --solver paper, for the first device as head', async () => {
    expect(JSON.parse(await plan(household, '--solver', 'paper'))).toMatchObject({
      head: 'laptop-alice',
      rounds: 1,
      windows: [{ layers: 20 }, { layers: 12 }],
    })
  })

  it.each(['exact', 'exhaustive', 'memory', 'equal', 'single'])('knows the solver %s', async (solver) => {
    const roomy = join(await mkdtemp(join(tmpdir(), 'hearth-plan-')), 'profiles.json')
    const { devices, model } = readExample('two-devices.json')
    const more = devices.map((device) => ({ ...device, memoryBytes: 1e9 }))
    await writeFile(roomy, JSON.stringify({ devices: more, model }))
    expect(await plan(roomy, '--solver', solver, '--explain')).toMatch(/all +4 .* per token/)
  })

  it.each([
    [['no-such-file.json'], 'no-such-file.json cannot be read'],
    [[pathOf('cli.ts')], 'is not JSON'],
    [[pathOf('../package.json')], 'must hold an object with "devices" and "model"'],
    [[household, '--solver', 'magic'], 'There is no solver magic; there are exact'],
    [[household, '--solver', 'exhaustive'], 'use --solver exact'],
    [[household, '--solver', 'manual', '--layers', '1,2,3,0'], 'add up to 6'],
    [
      [household, '--solver', 'manual', '--layers', '12,14,4,2', '--gpu-layers', '0,3'],
      'cannot run 3 layers on a GPU',
    ],
    [[household, '--solver', 'paper', '--head', 'dave'], 'The head dave is not among'],
    [[household, '--colour'], "Unknown option '--colour'"],
    [[], 'Give one file of profiles'],
  ])('says what is wrong with %j in a sentence', async (args, sentence) => {
    expect(await planCommand(args)).toMatchObject({ ok: false, message: expect.stringContaining(sentence) })
  })

  it('writes a plan to stdout with status 0, and a sentence to stderr with status 1', () => {
    const run = (...args: string[]) => {
      const cli = [pathOf('cli.ts'), ...args]
      const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', ...cli], {
        encoding: 'utf8',
      })
      return { status, stdout, stderr }
    }
    const good = run(household)
    expect(good).toMatchObject({ status: 0, stderr: '' })
    expect(JSON.parse(good.stdout)).toHaveProperty('windows')
    expect(run('no-such-file.json')).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/^no-such-file\.json cannot be read: .*\n$/),
    })
  })
})
