/**
 * How fast the kernels of one backend are, by weight type. Runs where the backend runs: in Node or in a worker.
 *
 * @module
 */
import type { WasmBackend } from '../../packages/engine/src/backend/wasm.ts'
import { weightTypes, type WeightType } from '../../packages/engine/src/gguf/quant.ts'

export const benchTypes = [
  'Q4_0',
  'Q4_K',
  'Q5_0',
  'Q5_K',
  'Q6_K',
  'Q8_0',
  'F16',
  'F32',
] as const satisfies readonly WeightType[]

export type KernelSpeed = {
  type: WeightType
  /** Packed weights that one token's product goes through. */
  decodeGBs: number
  /** The same weights, only read. */
  readGBs: number
  /** Operations (two per weight and token) with 4 and with 64 tokens. */
  batchGops: number
  prefillGops: number
}

const cols = 2048
/** Weights that no cache holds, gone through in pieces so short that other programs miss some of them. */
const pieces = 16
const pieceBytes = 8 * 2 ** 20
const prefillTokens = 64
const rounds = 8

/** The best piece of several rounds; the kinds take turns, so that what else the machine does hits all of them alike. */
export function measureKernels(backend: WasmBackend, type: WeightType): KernelSpeed {
  const { packing } = backend
  const groupBytes = packing.groupBytes(type, cols)
  const groups = Math.floor(pieceBytes / groupBytes / 4) * 4
  const regions = Array.from({ length: pieces }, () => backend.region(groups * groupBytes))
  const group = randomGroup(backend, type)
  for (const region of regions) fillWithGroup(region.bytes(), group)
  const x = backend.scratch(prefillTokens * cols)
  x.values().set(Float32Array.from({ length: x.length }, (_, i) => Math.sin(i * 1.7)))
  const rows = groups * packing.rowGroup
  const tileRows = 1024
  const out = backend.scratch(Math.max(rows, prefillTokens * tileRows))

  const bestMs = { decode: Infinity, read: Infinity, batch: Infinity, prefill: Infinity }
  const time = (what: keyof typeof bestMs, run: () => void) => {
    const startMs = performance.now()
    run()
    bestMs[what] = Math.min(bestMs[what], performance.now() - startMs)
  }
  for (let round = 0; round < rounds; round++) {
    for (const region of regions) {
      const all = backend.matrix(region, 0, type, rows, cols)
      time('decode', () => backend.matmul([{ out, w: all }], x, 1))
    }
    for (const region of regions) time('read', () => backend.readThrough(region))
    for (const region of regions) {
      const some = backend.matrix(region, 0, type, tileRows, cols)
      time('batch', () => backend.matmul([{ out, w: some }], x, 4))
      time('prefill', () => backend.matmul([{ out, w: some }], x, prefillTokens))
    }
  }
  for (const thing of [...regions, x, out]) thing.free()

  const gbs = (ms: number) => (groups * groupBytes) / ms / 1e6
  const gops = (tokens: number, ms: number) => (2 * tileRows * cols * tokens) / ms / 1e6
  return {
    type,
    decodeGBs: gbs(bestMs.decode),
    readGBs: gbs(bestMs.read),
    batchGops: gops(4, bestMs.batch),
    prefillGops: gops(prefillTokens, bestMs.prefill),
  }
}

export type AttentionSpeed = {
  /** Positions in the cache. */
  context: number
  /** One layer of Llama 3.2 1B's shape: 32 heads of 64, 8 KV heads. */
  decodeMs: number
  /** Of K and V, in one token's pass over them. */
  decodeGBs: number
  /** 64 tokens at the end of the context; two operations per multiplication. */
  prefillGops: number
}

export function measureAttention(backend: WasmBackend, context: number): AttentionSpeed {
  const [heads, kvHeads, headDim, rows] = [32, 8, 64, 64]
  const cache = backend.kvCache(kvHeads, headDim)
  cache.reserve(context)
  const values = (length: number) => {
    const vector = backend.scratch(length)
    vector.values().set(Float32Array.from({ length }, (_, i) => Math.sin(i * 1.7)))
    return vector
  }
  const [q, k, v] = [values(rows * heads * headDim), values(rows * 512), values(rows * 512)]
  const out = backend.scratch(q.length)
  const bestMs = { decode: Infinity, prefill: Infinity }
  for (let position = 0; position + rows <= context; position += rows) {
    backend.attention(out, q, k, v, cache, { rows, heads, position })
  }
  for (let round = 0; round < 40; round++) {
    let startMs = performance.now()
    backend.attention(out, q, k, v, cache, { rows: 1, heads, position: context - 1 })
    bestMs.decode = Math.min(bestMs.decode, performance.now() - startMs)
    startMs = performance.now()
    backend.attention(out, q, k, v, cache, { rows, heads, position: context - rows })
    bestMs.prefill = Math.min(bestMs.prefill, performance.now() - startMs)
  }
  for (const thing of [cache, q, k, v, out]) thing.free()
  return {
    context,
    decodeMs: bestMs.decode,
    decodeGBs: (context * kvHeads * headDim * 4) / bestMs.decode / 1e6,
    prefillGops: (4 * rows * heads * headDim * (context - rows / 2)) / bestMs.prefill / 1e6,
  }
}

/** Where a block has its f16 scales. */
const scaleOffsets: Readonly<Record<WeightType, readonly number[]>> = {
  Q4_0: [0],
  Q5_0: [0],
  Q8_0: [0],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  F16: [0],
  F32: [],
}

/** Random bytes are weights of any type, but for the scales: an f16 from random bytes may be huge. */
function randomGroup({ packing }: WasmBackend, type: WeightType): Uint8Array {
  const block = weightTypes[type]
  const source = new Uint8Array((cols / block.weights) * block.bytes * packing.rowGroup)
  let state = 1
  for (let i = 0; i < source.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    source[i] = state >>> 24
  }
  const view = new DataView(source.buffer)
  const halves = scaleOffsets[type]
  for (let at = 0; at < source.length; at += block.bytes) {
    for (const offset of halves) view.setUint16(at + offset, 0x2400 | (source[at]! << 2), true)
    if (type === 'F32') view.setFloat32(at, source[at]! / 256 - 0.5, true)
  }
  const group = new Uint8Array(packing.groupBytes(type, cols))
  packing.packGroup(type, cols, packing.rowGroup, source, group)
  return group
}

function fillWithGroup(bytes: Uint8Array, group: Uint8Array): void {
  bytes.set(group)
  for (let filled = group.length; filled < bytes.length; filled *= 2) {
    bytes.copyWithin(filled, 0, Math.min(filled, bytes.length - filled))
  }
}
