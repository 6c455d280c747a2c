/**
 * What a plan costs: one small pure function per symbol of the paper (arXiv 2504.08791, appendix A.3), then the whole.
 *
 * Times are whole nanoseconds. Doubles add whole numbers exactly, so a sum does not depend on its order, plans that
 * cost the same compare as equal, and a faster device is never slower by a rounding.
 *
 * Decoding one token reads every weight once and does little with it, so a layer's time is the time to read it: the
 * measured matrix–vector rates replace the paper's FLOPS [s^{cpu,q}] and its memory term [b'/T^cpu] together.
 *
 * @module
 */
import { leastResidentBytes, outputPieceCount } from './residency.ts'
import type { BytesByType, DeviceId, DeviceProfile, ModelProfile, Plan } from './types.ts'

export const nsPerMs = 1e6
const nsPerSec = 1e9

/** Scratch of the forward pass, staging of a frame and the WASM module itself, the same on every device [c^cpu]. */
export const bufferBytes = 16 * 2 ** 20

export const totalBytes = (bytes: BytesByType): number =>
  Object.values(bytes).reduce((sum, each) => sum + each, 0)

/**
 * Bytes per second of one weight type [s^{cpu,q}]. A type that the device did not measure is taken to be as slow as
 * the slowest that it did; `explain.ts` says so.
 */
export const weightRate = (device: DeviceProfile, type: string): number =>
  own(device.weightBytesPerSec, type) ?? Math.min(...Object.values(device.weightBytesPerSec))

/** Time to read and multiply these weights once. */
export function readNs(device: DeviceProfile, weights: BytesByType): number {
  let seconds = 0
  for (const [type, bytes] of Object.entries(weights)) seconds += bytes / weightRate(device, type)
  return Math.round(seconds * nsPerSec)
}

/** One layer on the CPU [α_m]. */
export const alphaNs = (device: DeviceProfile, model: ModelProfile, layer: number): number =>
  readNs(device, model.layerBytes[layer] ?? {})

/** What the head does besides its layers: output norm and lm_head; one embedding row costs nothing beside them [κ]. */
export const kappaNs = (head: DeviceProfile, model: ModelProfile): number => readNs(head, model.outputBytes)

/** Handing the hidden state on [ξ_m = t_m^comm]; a device hands nothing to itself. */
export const xiNs = (from: DeviceProfile, to: DeviceId): number =>
  from.device === to ? 0 : Math.round((own(from.hopMs, to) ?? from.defaultHopMs) * nsPerMs)

/** One layer's weights and its KV cache at the full context [b' = b + 2(h_k e_k + h_v e_v) n_kv]. */
export const layerMemoryBytes = (model: ModelProfile, layer: number): number =>
  totalBytes(model.layerBytes[layer] ?? {}) + model.kvBytesPerPosition * model.contextLength

/** Embedding, output norm and lm_head; a tied lm_head is the embedding and is held once [b_i + b_o]. */
export const headMemoryBytes = (model: ModelProfile): number =>
  model.tiedOutput
    ? Math.max(model.embeddingBytes, totalBytes(model.outputBytes))
    : model.embeddingBytes + totalBytes(model.outputBytes)

/** Layers that a device holds while it streams: one runs, one is read. */
const slots = 2

/**
 * Reading what does not fit, once per token [T^disk]. Nothing of it is taken to be hidden behind computing: the worst
 * case, as in the paper (A.3).
 *
 * @param weights of the device's layers, in bytes
 * @param memoryBytes all that its part takes
 */
export function diskNs(device: DeviceProfile, weights: readonly number[], memoryBytes: number): number {
  if (memoryBytes <= device.memoryBytes || weights.length === 0) return 0
  const slotBytes = Math.max(...weights)
  const forLayers = device.memoryBytes - (memoryBytes - sum(weights))
  const pinned = Math.max(0, Math.floor(forLayers / slotBytes) - slots)
  const streamedBytes = sum(weights) * (1 - pinned / weights.length)
  return Math.round((streamedBytes / device.diskReadBytesPerSec) * nsPerSec)
}

/** Bytes of each of a device's layers. */
const layerWeightsOf = (plan: Plan, model: ModelProfile, device: DeviceId): number[] =>
  plan.windows
    .filter((window) => window.device === device)
    .flatMap(({ firstLayer, layers }) => model.layerBytes.slice(firstLayer, firstLayer + layers))
    .map(totalBytes)

/** The output in pieces as it streams. */
function outputPieceBytes(model: ModelProfile): number[] {
  const bytes = totalBytes(model.outputBytes)
  const count = outputPieceCount(bytes, Math.max(1, ...model.layerBytes.map(totalBytes)))
  return Array.from({ length: count }, () => bytes / count)
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)

/** Names come from other people's devices: one called "constructor" must not find what every object inherits. */
const own = (table: Readonly<Record<string, number>>, name: string): number | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined

/** One device's part of a plan. */
export type DeviceCost = {
  device: DeviceId
  layers: number
  /** Its layers, once per token. */
  computeNs: number
  /** κ on the head, 0 elsewhere. */
  outputNs: number
  /** Time of the hops that leave this device. */
  hopNs: number
  hops: number
  /** Reading the layers that do not fit its budget, once per token [T^disk]. */
  diskNs: number
  /** 0 for a device that has no part; else weights, KV cache and `bufferBytes`, all held at once. */
  memoryBytes: number
  /** The same with two units held at a time, the others read from the store when their turn comes (residency.ts). */
  leastMemoryBytes: number
  budgetBytes: number
}

export type PlanCost = {
  tpotNs: number
  hops: number
  /** Every device that was given, in that order, those without a part too. */
  devices: DeviceCost[]
}

/**
 * Σ computing + output + hops. The hidden state starts at the head, visits the windows in running order and ends at
 * the head; a hop is a change of device, so a ring of one has none.
 *
 * @throws RangeError when the plan names a device that has no profile
 */
export function planCost(plan: Plan, devices: readonly DeviceProfile[], model: ModelProfile): PlanCost {
  const parts = new Map<DeviceId, DeviceCost>()
  const profiles = new Map<DeviceId, DeviceProfile>()
  for (const profile of devices) {
    profiles.set(profile.device, profile)
    parts.set(profile.device, {
      device: profile.device,
      layers: 0,
      computeNs: 0,
      outputNs: 0,
      hopNs: 0,
      hops: 0,
      diskNs: 0,
      memoryBytes: 0,
      leastMemoryBytes: 0,
      budgetBytes: profile.memoryBytes,
    })
  }
  const lookUp = <T>(map: ReadonlyMap<DeviceId, T>, device: DeviceId): T => {
    const found = map.get(device)
    if (found === undefined) throw new RangeError(`The plan names ${device}, which has no profile`)
    return found
  }

  const pass = (from: DeviceId, to: DeviceId) => {
    if (from === to) return
    const part = lookUp(parts, from)
    part.hopNs += xiNs(lookUp(profiles, from), to)
    part.hops += 1
  }

  let at = plan.head
  for (const window of plan.windows) {
    pass(at, window.device)
    at = window.device
    const part = lookUp(parts, at)
    const profile = lookUp(profiles, at)
    for (let layer = window.firstLayer; layer < window.firstLayer + window.layers; layer++) {
      part.computeNs += alphaNs(profile, model, layer)
      part.memoryBytes += layerMemoryBytes(model, layer)
    }
    part.layers += window.layers
  }
  pass(at, plan.head)

  const head = lookUp(parts, plan.head)
  head.outputNs = kappaNs(lookUp(profiles, plan.head), model)
  head.memoryBytes += headMemoryBytes(model)
  for (const part of parts.values()) {
    if (part.layers > 0 || part === head) part.memoryBytes += bufferBytes
    const weights = layerWeightsOf(plan, model, part.device)
    const units = [...weights, ...(part === head ? outputPieceBytes(model) : [])]
    const embeddingBytes = part === head && !model.tiedOutput ? model.embeddingBytes : 0
    part.leastMemoryBytes =
      part.memoryBytes -
      (sum(units) + embeddingBytes) +
      leastResidentBytes(units.map((byteLength) => ({ byteLength })))
    part.diskNs = diskNs(lookUp(profiles, part.device), weights, part.memoryBytes)
  }

  const all = [...parts.values()]
  return {
    tpotNs: all.reduce((sum, part) => sum + part.computeNs + part.outputNs + part.hopNs + part.diskNs, 0),
    hops: all.reduce((sum, part) => sum + part.hops, 0),
    devices: all,
  }
}
