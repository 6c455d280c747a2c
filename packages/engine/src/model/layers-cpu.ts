/**
 * The forward pass of Llama and Qwen2 over a {@link Backend}: one readable function per step.
 *
 * Source: Llama (arXiv 2302.13971), GQA (arXiv 2305.13245), Qwen2 (arXiv 2407.10671).
 *
 * @module
 */
import type { Backend, KvCache, Product, Region, Vector } from '../backend/backend.ts'
import { EngineError } from '../errors.ts'
import type { Shard } from '../gguf/shards.ts'
import type { Activation } from '../protocol.ts'
import { inverseFrequencies, type ModelConfig } from './config.ts'
import { createKvCaches } from './kv-caches.ts'
import type { Layers } from './layers.ts'
import { allocateTogether, type ScratchVector } from './scratch.ts'
import type { WeightStream } from './weight-stream.ts'
import { layerWeights } from './weights.ts'

export type CpuLayers = Layers & {
  /** Takes a layer's weights into use; `region` (all of the shard's packed bytes) is freed when it is unloaded. */
  load(layer: number, shard: Shard, region: Region): void
  /** Takes a layer into use whose weights come each time it runs. */
  stream(layer: number, shard: Shard, weights: WeightStream): void
  /** Frees a layer's weights. KV caches stay: the layer may come back. */
  unload(layer: number): void
  /** Layers with weights of their own, by `load`. */
  loaded(): number[]
  /** What {@link Layers.kvBytes} grows by when `count` layers run these rows. */
  kvGrowth(a: Activation, count: number): number
  /** What one session takes in one layer with so many positions. */
  kvBytesFor(positions: number): number
  /** Held outside the backend. */
  bufferBytes(): number
  /** Frees everything that was allocated here. */
  free(): void
}

/** The most rows that run through a layer at once: enough to share each weight read, few enough to stay in cache. */
export const defaultMaxRows = 64

/** @throws EngineError 'out-of-memory' when there is no room for the scratch of `maxRows` rows */
export function createLayers(
  backend: Backend,
  config: ModelConfig,
  { maxRows = defaultMaxRows }: { maxRows?: number } = {},
): CpuLayers {
  const scratch = createScratch(backend, config, maxRows)
  const layers = new Map<number, LoadedLayer>()
  const streamed = new Map<number, { shard: Shard; weights: WeightStream }>()
  const caches = createKvCaches(() => backend.kvCache(config.nKvHeads, config.headDim))
  const lastLayer = config.nLayers - 1
  /** Outside the backend's memory, whose views end when it grows. */
  let result = new Float32Array(maxRows * config.dim)

  function unload(layer: number): void {
    layers.get(layer)?.region.free()
    layers.delete(layer)
    streamed.delete(layer)
  }

  /** Calls `use` with the layer's weights: at once where they are held, as soon as they have come where they stream. */
  async function withWeights(layer: number, use: (weights: LoadedLayer) => void): Promise<void> {
    const source = streamed.get(layer) ?? notLoaded(layer)
    const region = await source.weights.acquire(layer)
    try {
      use(loadLayer(backend, config, scratch, layer, source.shard, region))
    } finally {
      source.weights.release(layer)
    }
  }

  /** A session's caches in these layers, with room for its rows, or that they were lost. */
  function openAll(
    { session, position, rows }: Activation,
    span: readonly number[],
  ): KvCache[] | EngineError {
    try {
      return span.map((layer) => caches.open(session, layer, position, rows))
    } catch (thrown) {
      if (thrown instanceof EngineError && thrown.code === 'kv-lost') return thrown
      throw thrown
    }
  }

  return {
    load(layer, shard, region) {
      unload(layer)
      layers.set(layer, loadLayer(backend, config, scratch, layer, shard, region))
    },
    stream(layer, shard, weights) {
      unload(layer)
      streamed.set(layer, { shard, weights })
    },
    unload,
    loaded: () => [...layers.keys()].toSorted((a, b) => a - b),

    async run(group, count) {
      const span = spanOf(group[0]!, count)
      for (const layer of span) if (!layers.has(layer) && !streamed.has(layer)) notLoaded(layer)
      // Reserved for all layers before the first one computes, so that a full memory leaves every cache as it was.
      const opened = group.map((a) => openAll(a, span))
      const runs: Run[] = []
      let end = 0
      for (const [i, a] of group.entries()) {
        const kv = opened[i]!
        if (kv instanceof EngineError) continue
        runs.push({ a, kv, at: end })
        end += a.hidden.length
        // What lies beyond is overwritten from here on, so it is gone even if a step below fails.
        caches.commit(a.session, span, a.position)
      }

      // What a second window here is given is the result of the first, and must outlive a step that fails and runs again.
      const isResult = group.some(({ hidden }) => hidden.buffer === result.buffer)
      if (isResult || result.length < end) result = new Float32Array(Math.max(result.length, end))
      const inPlace = runs.length === 1 && end <= maxRows * config.dim
      for (const [i, layer] of span.entries()) {
        const isFirst = i === 0
        const isLast = i === span.length - 1
        const runAll = (weights: LoadedLayer) => {
          for (const { a, kv, at } of runs) {
            for (let row = 0; row < a.rows; row += maxRows) {
              const rows = Math.min(maxRows, a.rows - row)
              const [from, to] = [row * config.dim, (row + rows) * config.dim]
              if (isFirst) scratch.x.values().set(a.hidden.subarray(from, to))
              else if (!inPlace) scratch.x.values().set(result.subarray(at + from, at + to))
              const position = a.position + row
              if (layer === lastLayer) {
                runLastLayer(backend, config, scratch, weights, kv[i]!, rows, position)
                result.set(scratch.x.values().subarray(0, config.dim), at)
                continue
              }
              runLayer(backend, config, scratch, weights, kv[i]!, rows, position)
              if (isLast || !inPlace) result.set(scratch.x.values().subarray(0, to - from), at + from)
            }
          }
        }
        const held = layers.get(layer)
        if (held) runAll(held)
        else if (runs.length > 0) await withWeights(layer, runAll)
      }
      const through = runs.map(({ a, at }) => {
        caches.commit(a.session, span, a.position + a.rows)
        const out = { ...a, layer: a.layer + count, hidden: result.subarray(at, at + a.hidden.length) }
        return span.at(-1) === lastLayer ? lastRow(out) : out
      })
      return opened.map((kv) => (kv instanceof EngineError ? kv : through.shift()!))
    },

    release: caches.release,
    kvBytes: caches.bytes,
    gatherRows: () => 1,
    kvGrowth: (a, count) => caches.growth(a.session, spanOf(a, count), a.position + a.rows),
    kvBytesFor: caches.bytesFor,
    bufferBytes: () => result.byteLength,

    free() {
      for (const layer of layers.keys()) unload(layer)
      caches.release()
      for (const vector of Object.values(scratch)) vector.free()
    },
  }
}

/** Rows of one session with its cache in each layer; `at` is where they begin in the result. */
type Run = { a: Activation; kv: KvCache[]; at: number }

/** Buffers for the wave of activations, shared by all layers. */
type Scratch = Record<'x' | 'normed' | 'q' | 'k' | 'v' | 'attended' | 'gate' | 'up' | 'theta', ScratchVector>

function createScratch(backend: Backend, config: ModelConfig, maxRows: number): Scratch {
  const { dim, nHeads, nKvHeads, headDim, ffnDim } = config
  const scratch = allocateTogether(backend, (make) => ({
    x: make(maxRows * dim), // (rows, dim), the residual stream
    normed: make(maxRows * dim), // (rows, dim)
    q: make(maxRows * nHeads * headDim), // (rows, nHeads, headDim)
    k: make(maxRows * nKvHeads * headDim), // (rows, nKvHeads, headDim)
    v: make(maxRows * nKvHeads * headDim), // (rows, nKvHeads, headDim)
    attended: make(maxRows * nHeads * headDim), // (rows, nHeads, headDim)
    gate: make(maxRows * ffnDim), // (rows, ffnDim)
    up: make(maxRows * ffnDim), // (rows, ffnDim)
    theta: make(headDim / 2), // (headDim / 2)
  }))
  scratch.theta.values().set(inverseFrequencies(config))
  return scratch
}

/** A layer's weights, already joined to the scratch they read and write, so that a token allocates nothing. */
type LoadedLayer = {
  region: Region
  attnNorm: Vector
  qkv: Product[]
  /** The first of these, and the others, for rows of which only the last one asks. */
  q: Product[]
  kv: Product[]
  attnOutput: Product[]
  ffnNorm: Vector
  gateUp: Product[]
  down: Product[]
}

function loadLayer(
  backend: Backend,
  config: ModelConfig,
  { x, q, k, v, gate, up, theta }: Scratch,
  layer: number,
  shard: Shard,
  region: Region,
): LoadedLayer {
  const weights = layerWeights(backend, layer, shard, region)
  const { qBias, kBias, vBias, ropeFactors } = weights
  if (ropeFactors) theta.values().set(inverseFrequencies(config, ropeFactors.values()))
  const qkv: Product[] = [
    { out: q, w: weights.q, ...(qBias && { bias: qBias }) },
    { out: k, w: weights.k, ...(kBias && { bias: kBias }) },
    { out: v, w: weights.v, ...(vBias && { bias: vBias }) },
  ]
  return {
    region,
    attnNorm: weights.attnNorm,
    qkv,
    q: qkv.slice(0, 1),
    kv: qkv.slice(1),
    attnOutput: [{ out: x, w: weights.attnOutput, add: true }],
    ffnNorm: weights.ffnNorm,
    gateUp: [
      { out: gate, w: weights.gate },
      { out: up, w: weights.up },
    ],
    down: [{ out: x, w: weights.down, add: true }],
  }
}

/** x = x + attention(norm(x)), then x = x + ffn(norm(x)). */
function runLayer(
  backend: Backend,
  config: ModelConfig,
  scratch: Scratch,
  layer: LoadedLayer,
  cache: KvCache,
  rows: number,
  position: number,
): void {
  const { x, normed } = scratch
  backend.rmsNorm(normed, x, layer.attnNorm, rows, config.rmsEps)
  backend.matmul(layer.qkv, normed, rows)
  attend(backend, config, scratch, layer, cache, { rows, queries: rows, position })
  feedForward(backend, config, scratch, layer, rows)
}

/**
 * The model's last layer: K and V of all rows, the rest of the last row alone, since only that one becomes logits. It is
 * row 0 of x then.
 */
function runLastLayer(
  backend: Backend,
  config: ModelConfig,
  scratch: Scratch,
  layer: LoadedLayer,
  cache: KvCache,
  rows: number,
  position: number,
): void {
  if (rows === 1) return runLayer(backend, config, scratch, layer, cache, rows, position)
  const { x, normed } = scratch
  backend.rmsNorm(normed, x, layer.attnNorm, rows, config.rmsEps)
  backend.matmul(layer.kv, normed, rows)
  for (const vector of [x, normed]) vector.values().copyWithin(0, (rows - 1) * config.dim, rows * config.dim)
  backend.matmul(layer.q, normed, 1)
  attend(backend, config, scratch, layer, cache, { rows, queries: 1, position })
  feedForward(backend, config, scratch, layer, 1)
}

/** Of rows whose q, k and v are known; the last `queries` of them have a q, and a place in x. */
function attend(
  backend: Backend,
  { nHeads, nKvHeads, headDim, ropePairs: pairs }: ModelConfig,
  { q, k, v, attended, theta }: Scratch,
  layer: LoadedLayer,
  cache: KvCache,
  { rows, queries, position }: { rows: number; queries: number; position: number },
): void {
  const asking = { rows: queries, position: position + rows - queries }
  backend.rope(q, theta, { ...asking, heads: nHeads, headDim, pairs })
  backend.rope(k, theta, { rows, heads: nKvHeads, headDim, position, pairs })
  backend.attention(attended, q, k, v, cache, { rows, queries, heads: nHeads, position })
  backend.matmul(layer.attnOutput, attended, queries)
}

/** SwiGLU (arXiv 2002.05202): down · (silu(gate · x) ∘ up · x). */
function feedForward(
  backend: Backend,
  { ffnDim, rmsEps }: ModelConfig,
  { x, normed, gate, up }: Scratch,
  layer: LoadedLayer,
  rows: number,
): void {
  backend.rmsNorm(normed, x, layer.ffnNorm, rows, rmsEps)
  backend.matmul(layer.gateUp, normed, rows)
  backend.swiglu(gate, up, rows * ffnDim)
  backend.matmul(layer.down, gate, rows)
}

/** After the last layer only the last row says what comes next; it stands first. */
function lastRow(a: Activation): Activation {
  const { more: _, ...rest } = a
  const hidden = a.hidden.subarray(0, a.hidden.length / a.rows)
  return { ...rest, rows: 1, position: a.position + a.rows - 1, hidden }
}

const spanOf = ({ layer }: Activation, count: number): number[] =>
  Array.from({ length: count }, (_, i) => layer + i)

function notLoaded(layer: number): never {
  throw new EngineError('not-ready', `This device does not hold layer ${layer} yet.`)
}
