/**
 * What a layer costs besides reading its weights: norms, RoPE, activation function, quantizing what is multiplied,
 * threads that wait for each other, and the KV cache.
 *
 * @module
 */
import type { Backend, Product } from '../../backend/backend.ts'
import { allocateTogether } from '../../model/scratch.ts'
import { usualHeadDim as headDim, type LayerShape } from './layer-shape.ts'
import { steadyTimeMs } from './steady-time.ts'

/** Enough for threads to share a product, as those of real layers are, and no more. */
const thinMatrixBytes = 96 * 2 ** 10
const longContext = 1024
const fillRows = 64
/** So slow a device is measured behind a shorter context, to be done in time. */
const slowFillMs = 10
/** The better of two moments stands. */
const sweeps = 2

export type LayerCosts = {
  /** Per token and layer. */
  layerFixedMs: number
  /** Storing one position's K and V in one layer, and attending to it alone; part of `layerFixedMs`. */
  kvAppendMs: number
  /** Bytes of K and V that attention reads per second. */
  kvReadBytesPerSec: number
}

export async function measureLayerCosts(backend: Backend, shape: LayerShape): Promise<LayerCosts> {
  // A layer whose matrices have no rows: extrapolated from two, one with twice as many rows as the other.
  let [once, twice] = [Infinity, Infinity]
  for (let sweep = 0; sweep < sweeps; sweep++) {
    once = Math.min(once, await thinLayerMs(backend, shape, thinMatrixBytes))
    twice = Math.min(twice, await thinLayerMs(backend, shape, 2 * thinMatrixBytes))
  }
  const { kvAppendMs, kvReadBytesPerSec } = await measureAttention(backend, shape)
  return { layerFixedMs: Math.max(kvAppendMs, 2 * once - twice), kvAppendMs, kvReadBytesPerSec }
}

/** Query heads in whole groups, as near to the model's as its widths tell. */
function headsOf({ dim, kvDim }: LayerShape): { heads: number; kvHeads: number } {
  const heads = dim / headDim
  let kvHeads = Math.min(heads, kvDim / headDim)
  while (heads % kvHeads !== 0) kvHeads--
  return { heads, kvHeads }
}

/** The steps of one layer for one token, as in model/layers-cpu.ts, with few rows in each matrix. */
async function thinLayerMs(backend: Backend, shape: LayerShape, matrixBytes: number): Promise<number> {
  const { dim, ffnDim } = shape
  const { heads, kvHeads } = headsOf(shape)
  const { packing } = backend
  const rowsOf = (cols: number) =>
    Math.ceil(matrixBytes / packing.groupBytes('Q8_0', cols)) * packing.rowGroup
  const vectors = allocateTogether(backend, (make) => ({
    x: make(dim),
    normed: make(dim),
    q: make(dim),
    k: make(kvHeads * headDim),
    v: make(kvHeads * headDim),
    attended: make(dim),
    gate: make(ffnDim),
    up: make(ffnDim),
    weight: make(dim),
    theta: make(headDim / 2),
    out: make(Math.max(rowsOf(dim), rowsOf(ffnDim))),
  }))
  const region = backend.region(matrixBytes + packing.groupBytes('Q8_0', Math.max(dim, ffnDim)))
  region.bytes().fill(0)
  const cache = backend.kvCache(kvHeads, headDim)
  try {
    cache.reserve(1)
    const { x, normed, q, k, v, attended, gate, up, weight, theta, out } = vectors
    const thin = (cols: number): Product => ({
      out,
      w: backend.matrix(region, 0, 'Q8_0', rowsOf(cols), cols),
    })
    const qkv = [thin(dim), thin(dim), thin(dim)]
    const attnOutput = [thin(dim)]
    const gateUp = [thin(dim), thin(dim)]
    const down = [thin(ffnDim)]
    return await steadyTimeMs(() => {
      backend.rmsNorm(normed, x, weight, 1, 1e-5)
      backend.matmul(qkv, normed, 1)
      backend.rope(q, theta, { rows: 1, heads, headDim, position: 0, pairs: 'adjacent' })
      backend.rope(k, theta, { rows: 1, heads: kvHeads, headDim, position: 0, pairs: 'adjacent' })
      backend.attention(attended, q, k, v, cache, { rows: 1, heads, position: 0 })
      backend.matmul(attnOutput, attended, 1)
      backend.rmsNorm(normed, x, weight, 1, 1e-5)
      backend.matmul(gateUp, normed, 1)
      backend.swiglu(gate, up, ffnDim)
      backend.matmul(down, gate, 1)
    })
  } finally {
    cache.free()
    region.free()
    for (const vector of Object.values(vectors)) vector.free()
  }
}

/** One token behind none and behind a thousand: the difference is what reading K and V costs. */
async function measureAttention(
  backend: Backend,
  shape: LayerShape,
): Promise<Pick<LayerCosts, 'kvAppendMs' | 'kvReadBytesPerSec'>> {
  const { heads, kvHeads } = headsOf(shape)
  const cache = backend.kvCache(kvHeads, headDim)
  const vectors = allocateTogether(backend, (make) => ({
    q: make(fillRows * heads * headDim),
    kv: make(fillRows * kvHeads * headDim),
    out: make(fillRows * heads * headDim),
  }))
  const { q, kv, out } = vectors
  try {
    cache.reserve(longContext + 1)
    const bytesPerPosition = cache.byteLength / cache.capacity
    let context = longContext
    for (let position = 0; position < context; position += fillRows) {
      const startMs = performance.now()
      backend.attention(out, q, kv, kv, cache, { rows: fillRows, heads, position })
      if (performance.now() - startMs > slowFillMs) context = position + fillRows
    }
    const behind = (position: number) =>
      steadyTimeMs(() => backend.attention(out, q, kv, kv, cache, { rows: 1, heads, position }))
    const longMs = await behind(context)
    const kvAppendMs = await behind(0)
    // A clock that stands still for a while must not make it free.
    const readMs = Math.max(longMs - kvAppendMs, longMs / 2)
    return { kvAppendMs, kvReadBytesPerSec: Math.round((context * bytesPerPosition * 1000) / readMs) }
  } finally {
    cache.free()
    for (const vector of Object.values(vectors)) vector.free()
  }
}
