/**
 * A known answer: each layer that goes to the GPU runs once there and once on the CPU, from the same bytes, before
 * anybody relies on it. Drivers and browsers have given wrong numbers without a word.
 *
 * @module
 */
import type { Backend, Region } from '../backend/backend.ts'
import type { Shard } from '../gguf/shards.ts'
import type { ModelConfig } from './config.ts'
import { createForwardPass } from './forward-pass.ts'
import { createPrng } from './prng.ts'

/** A prompt of more rows than a kernel takes at once, a short chunk behind it, a token: each has kernels of its own. */
const steps = [
  { position: 0, rows: 40 },
  { position: 40, rows: 5 },
  { position: 45, rows: 1 },
] as const
const mostRows = 40

/** Positions that a check needs. */
export const checkedPositions = 46

/**
 * Of what the layer adds, mse / mean square: the CPU rounds activations to int8, which costs some 1e-4; a wrong scale,
 * zero or pairing costs 1e-1 and more.
 */
const mostError = 1e-2

export type RunOnGpu = (hidden: Float32Array<ArrayBuffer>, position: number) => Promise<Float32Array>

/**
 * @param region the layer's packed bytes, in the backend
 * @param runOnGpu hidden states (rows, dim) of an otherwise unused session through the layer
 * @returns null, or how wrong the GPU is
 * @throws EngineError 'out-of-memory' of the backend
 */
export async function checkLayer(
  backend: Backend,
  config: ModelConfig,
  { layer, shard, region }: { layer: number; shard: Shard; region: Region },
  runOnGpu: RunOnGpu,
): Promise<string | null> {
  const pass = createForwardPass(backend, config, mostRows)
  const cache = backend.kvCache(config.nKvHeads, config.headDim)
  const random = createPrng(layer + 1)
  try {
    cache.reserve(checkedPositions)
    const weights = pass.layer(layer, shard, region)
    for (const { position, rows } of steps) {
      const hidden = Float32Array.from({ length: rows * config.dim }, () => 4 * random() - 2)
      pass.x.values().set(hidden)
      pass.run(weights, cache, rows, position)
      const want = pass.x.values().slice(0, hidden.length)
      const error = relativeError(await runOnGpu(hidden, position), want, hidden)
      // Written so that NaN fails.
      if (!(error <= mostError))
        return `it computes layer ${layer} wrongly, by ${error.toPrecision(2)} of what the layer adds, where ${mostError} is allowed`
    }
    return null
  } finally {
    cache.free()
    pass.free()
  }
}

/** Of what was added to `from`. */
function relativeError(got: Float32Array, want: Float32Array, from: Float32Array): number {
  let error = 0
  let size = 0
  for (let i = 0; i < want.length; i++) {
    error += (got[i]! - want[i]!) ** 2
    size += (want[i]! - from[i]!) ** 2
  }
  return error / size
}
