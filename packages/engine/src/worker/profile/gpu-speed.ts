/**
 * How fast the layers of a model run on the GPU: whole layers, by the graph that runs them, over weights larger than the
 * GPU's caches. So a rate holds what the GPU is told besides multiplying, which counts for much where layers are small.
 *
 * @module
 */
import type { BytesByType, ModelProfile } from '@hearth/halda'
import type { Gpu } from '../../gpu/gpu.ts'
import { gpuWeightBytes } from '../../gpu/gpu-weights.ts'
import type { InferenceSession, Tensor } from '../../gpu/runtime.ts'
import type { Packing } from '../../gguf/packing.ts'
import type { WeightType } from '../../gguf/quant.ts'
import { layerGraph, layerMatrices } from '../../model/layer-graph.ts'
import {
  isWeightType,
  matricesOf,
  shapeOf,
  usualHeadDim as headDim,
  usualShape,
  type LayerShape,
} from './layer-shape.ts'
import { median } from '../../median.ts'

export type GpuSpeed = {
  /** Stored bytes of weights per second, one row, as of the processor; what the GPU holds of them is more. */
  weightBytesPerSec: BytesByType
  /** The same times the rows of a chunk. */
  prefillBytesPerSec: BytesByType
  /** One row of hidden states up and down again. */
  copyMs: number
  measuredAtMs: number
}

/** Of laptops' GPUs few have more; the largest of all have 128 MB. */
const leastBytes = 64 * 2 ** 20
const mostLayers = 8
const batchRows = 32
/** Positions of the KV cache that layers are measured with. */
const capacity = 64
/** For each rate, once it is warm. */
const roundMs = 100
/** Of usual types, those that come later are left out: all measuring of a device is to be done in five seconds. */
const mostMs = 2000

/** A small layer, of 2.4 million weights, on which every GPU is tried first. */
const probeShape: LayerShape = { dim: 512, kvDim: 256, ffnDim: 1024 }
/**
 * Who takes so long for it would take seconds for a large one, and is of little use beside the processor: what it took for
 * this one stands, which is too slow rather than too fast (SwiftShader: 3.5 MB/s of Q4_K instead of 34).
 */
const slowProbeMs = 10
/** Who takes so long for a row would take seconds for a chunk: it is said to read weights anew for each row. */
const slowRowMs = 30

/** What most files have, in this order; others are measured when a model that has them is chosen. */
const usualTypes = ['Q4_K', 'Q8_0', 'Q6_K', 'Q4_0'] as const
/** Of a layer's bytes: norms and biases take less, and are no products. */
const leastShare = 0.02

/**
 * For a model, at its shape and with the types that its layers have; without one, for usual types at a usual shape. Types
 * for which time or memory do not suffice are left out.
 *
 * @param mostBytes of its memory that may be taken
 * @returns null when not one layer fits
 * @throws Error of the runtime; EngineError 'gpu-lost'
 */
export async function measureGpu(
  gpu: Gpu,
  packing: Packing,
  model: ModelProfile | null,
  mostBytes: number,
): Promise<GpuSpeed | null> {
  const startMs = performance.now()
  const wanted = model ? shapeOf(model, packing) : usualShape
  const fitting = (model ? typesOf(model) : usualTypes).filter((type) => heldBytes(type, wanted) <= mostBytes)
  const [first] = fitting
  if (first === undefined) return null
  const probe = await measureLayers(gpu, first, probeShape, 1)
  const isSlow = probe.rowMs > slowProbeMs
  const shape = isSlow ? probeShape : wanted
  const weightBytesPerSec: Record<string, number> = {}
  const prefillBytesPerSec: Record<string, number> = {}
  for (const type of fitting) {
    if (model === null && type !== first && performance.now() - startMs > mostMs) break
    const known = isSlow && type === first
    const { rowMs, chunkMs } = known
      ? probe
      : await measureLayers(gpu, type, shape, isSlow ? 1 : layersFor(heldBytes(type, shape), mostBytes))
    const bytes = storedBytes(packing, type, shape)
    weightBytesPerSec[type] = Math.round((bytes * 1000) / rowMs)
    if (chunkMs !== null) prefillBytesPerSec[type] = Math.round((batchRows * bytes * 1000) / chunkMs)
  }
  const copyMs = await measureCopy(gpu, wanted.dim)
  return { weightBytesPerSec, prefillBytesPerSec, copyMs, measuredAtMs: Date.now() }
}

/** So many that caches are of no use, where there is room for them. */
const layersFor = (layerBytes: number, mostBytes: number): number =>
  Math.min(mostLayers, Math.ceil(leastBytes / layerBytes), Math.floor(mostBytes / layerBytes))

/** Those that make up its layers, the largest part first. */
function typesOf({ layerBytes }: ModelProfile): WeightType[] {
  const bytes = new Map<WeightType, number>()
  for (const layer of layerBytes)
    for (const [type, more] of Object.entries(layer))
      if (isWeightType(type)) bytes.set(type, (bytes.get(type) ?? 0) + more)
  const all = [...bytes.values()].reduce((sum, each) => sum + each, 0)
  return [...bytes]
    .filter(([, each]) => each > leastShare * all)
    .sort(([, a], [, b]) => b - a)
    .map(([type]) => type)
}

/** Of one layer whose matrices are all of a type, on the GPU. */
const heldBytes = (type: WeightType, shape: LayerShape): number =>
  matricesOf(shape).reduce((sum, [rows, cols]) => sum + gpuWeightBytes(type, rows, cols), 0)

/** Of one layer whose matrices are all of a type, as it lies in the store. */
const storedBytes = (packing: Packing, type: WeightType, shape: LayerShape): number =>
  matricesOf(shape).reduce(
    (sum, [rows, cols]) => sum + Math.ceil(rows / packing.rowGroup) * packing.groupBytes(type, cols),
    0,
  )

/** Milliseconds of one of `count` layers, for one row and for a chunk. */
async function measureLayers(
  gpu: Gpu,
  type: WeightType,
  shape: LayerShape,
  count: number,
): Promise<{ rowMs: number; chunkMs: number | null }> {
  const { dim } = shape
  const session = await gpu.session(graphOf(type, shape), 'gpu-buffer')
  const buffers: GPUBuffer[] = []
  const bufferOf = async (byteLength: number): Promise<GPUBuffer> => {
    const buffer = await gpu.buffer(byteLength)
    buffers.push(buffer)
    return buffer
  }
  try {
    const layers: Record<string, Tensor>[] = []
    for (let i = 0; i < count; i++) layers.push(await inputsOf(gpu, session, bufferOf))
    const [x, y] = [await bufferOf(batchRows * dim * 4), await bufferOf(batchRows * dim * 4)]
    const lastPosition = await bufferOf(4)

    async function through(span: readonly Record<string, Tensor>[], rows: number): Promise<void> {
      gpu.write(lastPosition, new Uint8Array(Int32Array.of(rows - 1).buffer))
      let [from, to] = [x, y]
      for (const inputs of span) {
        await session.run(
          {
            ...inputs,
            x: gpu.tensor(from, 'float32', [rows, dim]),
            last_position: gpu.tensor(lastPosition, 'int32', [1]),
            positions: gpu.number(rows),
          },
          {
            y: gpu.tensor(to, 'float32', [rows, dim]),
            present_key: inputs['past_key']!,
            present_value: inputs['past_value']!,
          },
        )
        ;[from, to] = [to, from]
      }
      await gpu.idle()
    }

    // The first runs compile shaders, and say nothing of those that follow.
    const first = layers.slice(0, 1)
    await through(first, 1)
    const oneMs = await leastMs(() => through(first, 1))
    if (oneMs > slowRowMs) return { rowMs: oneMs, chunkMs: null }
    const rowMs = (await steadyMs(() => through(layers, 1))) / count
    await through(first, batchRows)
    return { rowMs, chunkMs: (await steadyMs(() => through(layers, batchRows))) / count }
  } finally {
    await session.release()
    for (const buffer of buffers) gpu.free(buffer)
  }
}

/** The shapes are what counts, not how they are cut into heads. */
function graphOf(type: WeightType, { dim, kvDim, ffnDim }: LayerShape): Uint8Array {
  const types = Object.fromEntries(layerMatrices.map((name) => [name, type])) as Parameters<
    typeof layerGraph
  >[1]['types']
  const heads = { nHeads: dim / headDim, nKvHeads: kvDim / headDim, headDim }
  return layerGraph({ dim, ffnDim, ...heads, rmsEps: 1e-5, ropePairs: 'halves' }, { types, hasBiases: false })
}

/** Buffers for all inputs of a layer but those that each run brings, in the shapes that the graph says. */
async function inputsOf(
  gpu: Gpu,
  session: InferenceSession,
  bufferOf: (byteLength: number) => Promise<GPUBuffer>,
): Promise<Record<string, Tensor>> {
  const inputs: Record<string, Tensor> = {}
  for (const input of session.inputMetadata) {
    if (!input.isTensor || perRun.includes(input.name)) continue
    const dims = input.shape.map((dim) => (typeof dim === 'number' ? dim : capacity))
    const type = input.type === 'uint8' ? 'uint8' : 'float32'
    const values = dims.reduce((product, dim) => product * dim, 1)
    inputs[input.name] = gpu.tensor(await bufferOf(values * (type === 'uint8' ? 1 : 4)), type, dims)
  }
  return inputs
}

const perRun = ['x', 'last_position', 'positions']

/** As a window does it: a row of hidden states is written, and what came of it read. */
async function measureCopy(gpu: Gpu, dim: number): Promise<number> {
  const hidden = new Uint8Array(dim * 4)
  const buffer = await gpu.buffer(hidden.byteLength)
  const copy = async () => {
    gpu.write(buffer, hidden)
    await gpu.read(buffer)
  }
  try {
    await copy()
    return await steadyMs(copy)
  } finally {
    gpu.free(buffer)
  }
}

/** The median of a round. */
async function steadyMs(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now()
  const timesMs: number[] = []
  do timesMs.push(await timeOf(work))
  while (performance.now() - startMs < roundMs)
  return median(timesMs)
}

/** Of some tries, as long as each is much faster than the best before. */
async function leastMs(work: () => Promise<void>): Promise<number> {
  let best = Infinity
  for (;;) {
    const ms = await timeOf(work)
    if (ms > best * muchFaster) return Math.min(best, ms)
    best = ms
  }
}

const muchFaster = 0.8

async function timeOf(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now()
  await work()
  return performance.now() - startMs
}
