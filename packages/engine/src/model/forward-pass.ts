/**
 * The forward pass of Llama and Qwen2 through one layer over a {@link Backend}: one readable function per step.
 *
 * Source: Llama (arXiv 2302.13971), GQA (arXiv 2305.13245), Qwen2 (arXiv 2407.10671).
 *
 * @module
 */
import type { Backend, KvCache, Product, Region, Vector } from '../backend/backend.ts'
import type { Shard } from '../gguf/shards.ts'
import { inverseFrequencies, type ModelConfig } from './config.ts'
import { allocateTogether } from './scratch.ts'
import { layerWeights } from './weights.ts'

export interface ForwardPass {
  /** (maxRows, dim), the residual stream: rows go in here and come out here. */
  readonly x: Vector
  /** A layer whose weights lie in `region`, all of the shard's packed bytes. */
  layer(index: number, shard: Shard, region: Region): LoadedLayer
  /** x = x + attention(norm(x)), then x = x + ffn(norm(x)), for rows of one session from `position` on. */
  run(layer: LoadedLayer, cache: KvCache, rows: number, position: number): void
  /**
   * The model's last layer: K and V of all rows, the rest of the last row alone, since only that one becomes logits. It is
   * row 0 of x then.
   */
  runLast(layer: LoadedLayer, cache: KvCache, rows: number, position: number): void
  free(): void
}

/** A layer's weights, already joined to the scratch they read and write, so that a token allocates nothing. */
export type LoadedLayer = {
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

/** What {@link createForwardPass} takes for each row. */
export const rowScratchBytes = ({ dim, nHeads, nKvHeads, headDim, ffnDim }: ModelConfig): number =>
  4 * (2 * dim + 2 * (nHeads + nKvHeads) * headDim + 2 * ffnDim)

/** @throws EngineError 'out-of-memory' when there is no room for the scratch of `maxRows` rows */
export function createForwardPass(backend: Backend, config: ModelConfig, maxRows: number): ForwardPass {
  const { dim, nHeads, nKvHeads, headDim, ffnDim, rmsEps, ropePairs: pairs } = config
  // The wave of activations, shared by all layers.
  const scratch = allocateTogether(backend, (make) => ({
    x: make(maxRows * dim), // (rows, dim)
    normed: make(maxRows * dim), // (rows, dim)
    q: make(maxRows * nHeads * headDim), // (rows, nHeads, headDim)
    k: make(maxRows * nKvHeads * headDim), // (rows, nKvHeads, headDim)
    v: make(maxRows * nKvHeads * headDim), // (rows, nKvHeads, headDim)
    attended: make(maxRows * nHeads * headDim), // (rows, nHeads, headDim)
    gate: make(maxRows * ffnDim), // (rows, ffnDim)
    up: make(maxRows * ffnDim), // (rows, ffnDim)
    theta: make(headDim / 2), // (headDim / 2)
  }))
  const { x, normed, q, k, v, attended, gate, up, theta } = scratch
  theta.values().set(inverseFrequencies(config))

  /** The last `queries` of the rows have a q, and a place in x. */
  function attend(layer: LoadedLayer, cache: KvCache, rows: number, queries: number, position: number): void {
    const asking = { rows: queries, position: position + rows - queries }
    backend.rope(q, theta, { ...asking, heads: nHeads, headDim, pairs })
    backend.rope(k, theta, { rows, heads: nKvHeads, headDim, position, pairs })
    backend.attention(attended, q, k, v, cache, { rows, queries, heads: nHeads, position })
    backend.matmul(layer.attnOutput, attended, queries)
  }

  /** SwiGLU (arXiv 2002.05202): down · (silu(gate · x) ∘ up · x). */
  function feedForward(layer: LoadedLayer, rows: number): void {
    backend.rmsNorm(normed, x, layer.ffnNorm, rows, rmsEps)
    backend.matmul(layer.gateUp, normed, rows)
    backend.swiglu(gate, up, rows * ffnDim)
    backend.matmul(layer.down, gate, rows)
  }

  function run(layer: LoadedLayer, cache: KvCache, rows: number, position: number): void {
    backend.rmsNorm(normed, x, layer.attnNorm, rows, rmsEps)
    backend.matmul(layer.qkv, normed, rows)
    attend(layer, cache, rows, rows, position)
    feedForward(layer, rows)
  }

  return {
    x,

    layer(index, shard, region) {
      const weights = layerWeights(backend, index, shard, region)
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
    },

    run,

    runLast(layer, cache, rows, position) {
      if (rows === 1) return run(layer, cache, rows, position)
      backend.rmsNorm(normed, x, layer.attnNorm, rows, rmsEps)
      backend.matmul(layer.kv, normed, rows)
      for (const vector of [x, normed]) vector.values().copyWithin(0, (rows - 1) * dim, rows * dim)
      backend.matmul(layer.q, normed, 1)
      attend(layer, cache, rows, 1, position)
      feedForward(layer, 1)
    },

    free() {
      for (const vector of Object.values(scratch)) vector.free()
    },
  }
}
