/**
 * Plays decoding unit by unit, as the devices run it: one token after another, and beside it a reader per device that
 * fills slots. Tells how far the closed form of `part.ts` is from the run-time behaviour; far too slow to search with.
 *
 * A reader reads one unit at a time, the next streamed one in running order as soon as a slot is free; a slot is free
 * when its unit has run (worker/read-ahead.ts of the engine).
 *
 * @module
 */
import { meanLayerBytes, totalBytes } from './layer-bytes.ts'
import { chooseResidency } from './residency.ts'
import {
  bufferBytes,
  copyNs,
  decodePass,
  diskNs,
  gpuLayerNs,
  kappaNs,
  layerKvBytes,
  outputMemoryBytes,
  outputPieces,
  weightsNs,
  alphaNs,
  xiNs,
} from './symbols.ts'
import type { DeviceId, DeviceProfile, ModelProfile, Plan, Workload } from './types.ts'

/** Tokens until readers have found their pace, and tokens that are timed then. */
const [warmUpTokens, timedTokens] = [6, 24]

/**
 * @returns the mean time of a token, or null when a device cannot hold its part even through slots
 * @throws RangeError when the plan names a device that has no profile
 */
export function simulateTpotMs(
  plan: Plan,
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  workload: Workload = {},
): number | null {
  const steps = stepsOf(plan, devices, model, workload)
  if (steps === null) return null
  const readers = new Map([...steps.readers].map(([device, reads]) => [device, createReader(reads)]))
  let nowNs = 0
  let warmNs = 0
  for (let token = 0; token < warmUpTokens + timedTokens; token++) {
    if (token === warmUpTokens) warmNs = nowNs
    for (const { device, ns, streams } of steps.running) {
      const reader = streams ? readers.get(device) : undefined
      nowNs = Math.max(nowNs, reader?.readyNs() ?? 0) + ns
      reader?.release(nowNs)
    }
  }
  return (nowNs - warmNs) / timedTokens / 1e6
}

/** Reads in a circle, at most as many units ahead as there are slots. */
function createReader({ readsNs, slots }: Reads) {
  /** When the slots that are not being used or filled came free. */
  const freeNs = Array<number>(slots).fill(0)
  const readyNs: number[] = []
  let idleNs = 0
  let next = 0
  const read = () => {
    while (freeNs.length > 0) {
      idleNs = Math.max(idleNs, freeNs.shift() ?? 0) + (readsNs[next] ?? 0)
      readyNs.push(idleNs)
      next = (next + 1) % readsNs.length
    }
  }
  read()
  return {
    /** When the next unit in running order is read. */
    readyNs: (): number => readyNs[0] ?? 0,
    release(atNs: number) {
      readyNs.shift()
      freeNs.push(atNs)
      read()
    },
  }
}

type Reads = { readsNs: number[]; slots: number }
/** A hop, or a unit that runs. */
type Step = { device: DeviceId; ns: number; streams: boolean }

/** One token, in running order, and what each device reads for it. */
function stepsOf(
  plan: Plan,
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  workload: Workload,
): { running: Step[]; readers: Map<DeviceId, Reads> } | null {
  const pass = decodePass(model, workload)
  const running: Step[] = []
  const readers = new Map<DeviceId, Reads>()
  const meanBytes = meanLayerBytes(model)
  const pieces = outputPieces(model)

  const streamed = new Map<DeviceId, ReadonlySet<number>>()
  for (const profile of devices) {
    const { device } = profile
    const layers = plan.windows
      .filter((window) => window.device === device)
      .flatMap(({ firstLayer, layers, gpuLayers }) =>
        Array.from({ length: layers - gpuLayers }, (_, i) => firstLayer + i),
      )
    const units = layers.map((layer) => ({
      unit: layer,
      byteLength: totalBytes(model.layerBytes[layer] ?? {}),
    }))
    if (device === plan.head) {
      const byteLength = outputMemoryBytes(model) / pieces
      for (let piece = 0; piece < pieces; piece++) units.push({ unit: model.nLayers + piece, byteLength })
    }
    const budgetBytes =
      profile.memoryBytes - bufferBytes(model) - layers.length * layerKvBytes(model, workload)
    const residency = chooseResidency(units, budgetBytes)
    if (residency === null) return null
    streamed.set(device, new Set(residency.streamed.map(({ unit }) => unit)))
    readers.set(device, {
      readsNs: residency.streamed.map(({ byteLength }) => diskNs(profile, byteLength)),
      slots: residency.slots,
    })
  }

  const profileOf = (device: DeviceId): DeviceProfile => {
    const profile = devices.find((each) => each.device === device)
    if (profile === undefined) throw new RangeError(`The plan names ${device}, which has no profile`)
    return profile
  }
  const run = (device: DeviceId, unit: number, ns: number) =>
    running.push({ device, ns, streams: streamed.get(device)?.has(unit) ?? false })
  const hop = (from: DeviceId, to: DeviceId) => {
    if (from !== to) running.push({ device: from, ns: xiNs(profileOf(from), to), streams: false })
  }

  let at = plan.head
  for (const window of plan.windows) {
    hop(at, window.device)
    at = window.device
    const profile = profileOf(at)
    const otherNs = alphaNs(profile, model, pass) - weightsNs(profile, meanBytes, pass.rows)
    const firstGpuLayer = window.firstLayer + window.layers - window.gpuLayers
    for (let layer = window.firstLayer; layer < firstGpuLayer; layer++) {
      run(at, layer, weightsNs(profile, model.layerBytes[layer] ?? {}, pass.rows) + otherNs)
    }
    if (window.gpuLayers > 0 && profile.gpu !== undefined) {
      const ns = copyNs(profile.gpu, pass) + window.gpuLayers * gpuLayerNs(profile.gpu, model, pass)
      running.push({ device: at, ns, streams: false })
    }
  }
  hop(at, plan.head)
  for (let piece = 0; piece < pieces; piece++) {
    run(plan.head, model.nLayers + piece, kappaNs(profileOf(plan.head), model, pass) / pieces)
  }
  return { running, readers }
}
