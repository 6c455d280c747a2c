/**
 * How fast the kernels of one backend are, by weight type. Runs where the backend runs: in Node or in a worker.
 *
 * @module
 */
import type { Matrix, Vector } from '../../packages/engine/src/backend/backend.ts'
import type { WasmBackend } from '../../packages/engine/src/backend/wasm.ts'
import { weightTypes, type WeightType } from '../../packages/engine/src/gguf/quant.ts'

export const benchTypes = [
  'Q4_0',
  'Q4_K',
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
  /** Operations (two per weight and token) with 4 and with 128 tokens. */
  batchGops: number
  prefillGops: number
}

const cols = 2048
/** Weights that no cache holds. */
const weightBytes = 128 * 2 ** 20

/** Best of several runs each, taken in turns: what else the machine does hits all of them alike. */
export function measureKernels(backend: WasmBackend, type: WeightType): KernelSpeed {
  const { packing } = backend
  const groupBytes = packing.groupBytes(type, cols)
  const groups = Math.floor(weightBytes / groupBytes)
  const region = backend.region(groups * groupBytes)
  fillWithGroup(region.bytes(), randomGroup(backend, type))
  const all = backend.matrix(region, 0, type, groups * packing.rowGroup, cols)
  const some = backend.matrix(region, 0, type, 2048, cols)
  const x = backend.scratch(128 * cols)
  x.values().set(Float32Array.from({ length: x.length }, (_, i) => Math.sin(i * 1.7)))
  const out = backend.scratch(Math.max(all.rows, 128 * some.rows))

  const timesMs = { decode: Infinity, read: Infinity, batch: Infinity, prefill: Infinity }
  const time = (what: keyof typeof timesMs, run: () => void) => {
    const startMs = performance.now()
    run()
    timesMs[what] = Math.min(timesMs[what], performance.now() - startMs)
  }
  const product = (w: Matrix, rows: number) => backend.matmul([{ out: out as Vector, w }], x, rows)
  for (let round = 0; round < 8; round++) {
    time('decode', () => product(all, 1))
    time('read', () => backend.readThrough(region))
    time('batch', () => product(some, 4))
    time('prefill', () => product(some, 128))
  }
  for (const thing of [region, x, out]) thing.free()

  const gbs = (ms: number) => region.byteLength / ms / 1e6
  const gops = (rows: number, ms: number) => (2 * some.rows * cols * rows) / ms / 1e6
  return {
    type,
    decodeGBs: gbs(timesMs.decode),
    readGBs: gbs(timesMs.read),
    batchGops: gops(4, timesMs.batch),
    prefillGops: gops(128, timesMs.prefill),
  }
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
  const halves = { Q4_0: [0], Q8_0: [0], Q4_K: [0, 2], Q6_K: [208], F16: [0], F32: [] }[type]
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
