/**
 * What a device takes for one piece of work: one small pure function per symbol of the paper (arXiv 2504.08791,
 * appendix A.3).
 *
 * Times are whole nanoseconds. Doubles add whole numbers exactly, so a sum does not depend on its order, plans that
 * cost the same compare as equal, and a faster device is never slower by a rounding.
 *
 * Decoding one token reads every weight once and does little with it, so a layer's time is the time to read it: the
 * measured matrix–vector rates replace the paper's FLOPS [s^{cpu,q}] and its memory term [b'/T^cpu] together.
 *
 * @module
 */
import { largestLayerBytes, meanLayerBytes, totalBytes } from './layer-bytes.ts'
import { kvSteps, outputPieceCount } from './residency.ts'
import type { BytesByType, DeviceId, DeviceProfile, GpuProfile, ModelProfile, Workload } from './types.ts'

export const nsPerMs = 1e6
const nsPerSec = 1e9

/** Of a model whose profile does not say. */
export const defaultBufferBytes = 16 * 2 ** 20

/** What every device that has a part takes beside weights and KV cache [c^cpu]. */
export const bufferBytes = (model: ModelProfile): number => model.bufferBytes ?? defaultBufferBytes

/** A pass of rows through the model: `rows` of them, each with so many positions behind it. */
export type Pass = { rows: number; positions: number }

/** Decoding: one row for each session. */
export const decodePass = (model: ModelProfile, workload: Workload): Pass => ({
  rows: workload.sessions ?? 1,
  positions: workload.positions ?? model.contextLength / 2,
})

type Rates = Pick<DeviceProfile, 'weightBytesPerSec' | 'prefillBytesPerSec'>

/**
 * Bytes per second of one weight type [s^{cpu,q}]. A type that the device did not measure is taken to be as slow as
 * the slowest that it did; `explain.ts` says so.
 */
export const weightRate = (device: Rates, type: string): number =>
  own(device.weightBytesPerSec, type) ?? Math.min(...Object.values(device.weightBytesPerSec))

/**
 * Time to multiply rows by these weights: they share one read, until multiplying takes longer than reading. Without a
 * batched rate every row reads anew.
 */
export function weightsNs(device: Rates, weights: BytesByType, rows = 1): number {
  let seconds = 0
  for (const [type, bytes] of Object.entries(weights)) {
    const rate = weightRate(device, type)
    const batched = own(device.prefillBytesPerSec ?? {}, type) ?? rate
    seconds += rows === 1 ? bytes / rate : Math.max(bytes / rate, (rows * bytes) / batched)
  }
  return Math.round(seconds * nsPerSec)
}

/** One layer on the CPU: its weights, attention over the context, and what every layer takes besides [α_m]. */
export function alphaNs(device: DeviceProfile, model: ModelProfile, { rows, positions }: Pass): number {
  const { kvReadBytesPerSec = Infinity, layerFixedMs = 0 } = device
  const contextNs = ((positions * model.kvBytesPerPosition) / kvReadBytesPerSec) * nsPerSec
  const rowNs = layerFixedMs * nsPerMs + contextNs
  return weightsNs(device, meanLayerBytes(model), rows) + Math.round(rows * rowNs)
}

/** One layer on the GPU, its K and V read as fast as its slowest weights [α_m + β_m]. */
export function gpuLayerNs(gpu: GpuProfile, model: ModelProfile, { rows, positions }: Pass): number {
  const context = { kv: rows * positions * model.kvBytesPerPosition }
  return weightsNs(gpu, meanLayerBytes(model), rows) + weightsNs(gpu, context)
}

/** A hidden state into the GPU's memory and back, once per window [t^{ram→vram} + t^{vram→ram}]. */
export const copyNs = (gpu: GpuProfile, { rows }: Pass): number => Math.round(rows * gpu.copyMs * nsPerMs)

/** What the head does besides its layers: embedding row, output norm, lm_head, sampling [κ]. */
export const kappaNs = (head: DeviceProfile, model: ModelProfile, { rows }: Pick<Pass, 'rows'>): number =>
  weightsNs(head, model.outputBytes, rows) + Math.round(rows * (head.headFixedMs ?? 0) * nsPerMs)

/** Handing one row on [ξ_m = t_m^comm]; a device hands nothing to itself. */
export const xiNs = (from: DeviceProfile, to: DeviceId): number =>
  from.device === to ? 0 : Math.round((own(from.hopMs, to) ?? from.defaultHopMs) * nsPerMs)

/** Handing a prefill chunk on; as long as one row where it was not measured. */
export function chunkXiNs(from: DeviceProfile, to: DeviceId): number {
  const hops = from.hops ?? {}
  const chunkMs = Object.hasOwn(hops, to) ? hops[to]?.chunkMs : undefined
  return from.device === to || chunkMs === undefined ? xiNs(from, to) : Math.round(chunkMs * nsPerMs)
}

/** Reading so many bytes from the store [f_m = b/s_m^disk]. */
export const diskNs = (device: DeviceProfile, bytes: number): number =>
  Math.round((bytes / device.diskReadBytesPerSec) * nsPerSec)

/**
 * The room that K and V of one layer take from the weights [2(h_k e_k + h_v e_v) n_kv]: of the full context, unless the
 * workload says how long conversations are; then the steps that are taken by then.
 */
export function layerKvBytes(model: ModelProfile, { positions }: Workload = {}): number {
  const { contextLength, kvBytesPerPosition } = model
  const step = Math.ceil(contextLength / kvSteps)
  const held = positions === undefined ? contextLength : (Math.floor(positions / step) + 1) * step
  return kvBytesPerPosition * Math.min(contextLength, held)
}

/** One layer's weights and its KV cache [b' = b + 2(h_k e_k + h_v e_v) n_kv]. */
export const layerMemoryBytes = (model: ModelProfile, layer: number, kvBytes = layerKvBytes(model)): number =>
  totalBytes(model.layerBytes[layer] ?? {}) + kvBytes

/** Output norm and lm_head [b_o]: all of the head that must be in memory while it runs. */
export const outputMemoryBytes = (model: ModelProfile): number => totalBytes(model.outputBytes)

/** The head's embedding, held only where there is room: a token needs one row of it; 0 where the output is tied to it [b_i]. */
export const embeddingMemoryBytes = (model: ModelProfile): number =>
  model.tiedOutput ? Math.max(0, model.embeddingBytes - outputMemoryBytes(model)) : model.embeddingBytes

/** All of the head, held at once [b_i + b_o]. */
export const headMemoryBytes = (model: ModelProfile): number =>
  outputMemoryBytes(model) + embeddingMemoryBytes(model)

/** Pieces in which the output runs, and streams. */
export const outputPieces = (model: ModelProfile): number =>
  outputPieceCount(outputMemoryBytes(model), Math.max(1, largestLayerBytes(model)))

/** Names come from other people's devices: one called "constructor" must not find what every object inherits. */
const own = (table: Readonly<Record<string, number>>, name: string): number | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined
