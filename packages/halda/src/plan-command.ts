/**
 * What `npm run plan` does with its arguments: a file of profiles in, a plan or a table out.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { planExhaustive } from './exhaustive.ts'
import { explain, formatExplanation } from './explain.ts'
import { planByMemory, planEqual, planSingle } from './solve-baseline.ts'
import { planExact } from './solve-exact.ts'
import { planManual } from './solve-manual.ts'
import type { DeviceId, DeviceProfile, ModelProfile, PlanResult } from './types.ts'

const usage = `Usage: npm run plan -- FILE [--solver NAME] [--explain]

FILE holds { "devices": DeviceProfile[], "model": ModelProfile } as JSON; see packages/halda/README.md.

  --solver exact        lowest predicted time per token (default)
           exhaustive   the same by trying everything; up to 4 devices and 10 layers
           manual       --layers 16,16,0 in the order of the devices, - for those that the planner
                        fills [--gpu-layers 4,0,-] [--rounds K] [--head DEVICE]
           memory       layers in proportion to memory
           equal        the same number of layers to each device
           single       everything on one device
           paper        Halda as published; [--head DEVICE], else the first device
  --explain             a table with reasons instead of JSON`

type ProfilesFile = { devices: DeviceProfile[]; model: ModelProfile }
type ManualOptions = {
  layers?: string | undefined
  'gpu-layers'?: string | undefined
  rounds?: string | undefined
  head?: string | undefined
}
type Solver = (file: ProfilesFile, options: ManualOptions) => PlanResult | Promise<PlanResult>

const solvers: Readonly<Record<string, Solver>> = {
  exact: ({ devices, model }) => planExact(devices, model),
  exhaustive: ({ devices, model }) => {
    if (devices.length > 4 || model.nLayers > 10) {
      throw new Complaint(
        `Trying everything takes too long for ${devices.length} devices and ${model.nLayers} layers; use --solver exact.`,
      )
    }
    return planExhaustive(devices, model)
  },
  manual: ({ devices, model }, { layers, 'gpu-layers': gpuLayers, rounds, head }) => {
    if (layers === undefined)
      throw new Complaint('--solver manual wants --layers, one number per device: --layers 16,16,0')
    return planManual(devices, model, {
      layers: countsOf(layers),
      ...(gpuLayers !== undefined && { gpuLayers: countsOf(gpuLayers) }),
      ...(rounds !== undefined && { rounds: Number(rounds) }),
      ...(head !== undefined && { head: head as DeviceId }),
    })
  },
  memory: ({ devices, model }) => planByMemory(devices, model),
  equal: ({ devices, model }) => planEqual(devices, model),
  single: ({ devices, model }) => planSingle(devices, model),
  paper: async ({ devices, model }, { head }) => {
    const { planPaper } = await import('./paper/plan-paper.ts')
    return planPaper(devices, model, head as DeviceId | undefined)
  },
}

const countsOf = (list: string): (number | null)[] =>
  list.split(',').map((text) => (text === '-' ? null : Number(text)))

/** A sentence for the person at the terminal. */
class Complaint extends Error {}

async function readProfiles(path: string): Promise<ProfilesFile> {
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw new Complaint(`${path} cannot be read: ${error.message}`)
  })
  try {
    const file: unknown = JSON.parse(text)
    // Planners check every field before they use it (check.ts); here only the outer shape is needed.
    if (typeof file === 'object' && file !== null && 'devices' in file && 'model' in file)
      return file as ProfilesFile
  } catch (error) {
    throw new Complaint(`${path} is not JSON: ${(error as Error).message}`)
  }
  throw new Complaint(`${path} must hold an object with "devices" and "model".`)
}

/**
 * @param args as on the command line
 * @returns the text to print: JSON of a plan, its table, or the usage; or a sentence saying what is wrong
 */
export async function planCommand(
  args: string[],
): Promise<{ ok: true; output: string } | { ok: false; message: string }> {
  try {
    return { ok: true, output: await run(args) }
  } catch (error) {
    // parseArgs complains by TypeErrors with a code.
    if (error instanceof Complaint || (error instanceof TypeError && 'code' in error)) {
      return { ok: false, message: error.message }
    }
    throw error
  }
}

async function run(args: string[]): Promise<string> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      solver: { type: 'string', default: 'exact' },
      layers: { type: 'string' },
      'gpu-layers': { type: 'string' },
      rounds: { type: 'string' },
      head: { type: 'string' },
      explain: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const [path] = positionals
  if (values.help) return usage
  if (path === undefined || positionals.length > 1)
    throw new Complaint(`Give one file of profiles.\n\n${usage}`)
  const solver = Object.hasOwn(solvers, values.solver) ? solvers[values.solver] : undefined
  if (solver === undefined) {
    throw new Complaint(`There is no solver ${values.solver}; there are ${Object.keys(solvers).join(', ')}.`)
  }
  const file = await readProfiles(path)
  const result = await solver(file, values)
  if (!result.ok) throw new Complaint(result.message)
  if (!values.explain) return JSON.stringify(result.plan, null, 2)
  return formatExplanation(explain(result.plan, file.devices, file.model))
}
