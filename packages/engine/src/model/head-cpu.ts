/**
 * The head over a {@link Backend}: tokens → hidden states, hidden state → logits.
 *
 * @module
 */
import type { Backend, Region } from '../backend/backend.ts'
import type { Shard } from '../gguf/shards.ts'
import type { ModelConfig } from './config.ts'
import type { Head } from './layers.ts'
import { allocateTogether } from './scratch.ts'
import { headWeights } from './weights.ts'

export type CpuHead = Head & {
  /** Frees weights and scratch. */
  free(): void
}

/**
 * @param region holds the head shard's packed bytes; freed with the head, and the caller's still when this throws
 * @throws EngineError 'out-of-memory' when there is no room for the scratch
 */
export function createHead(backend: Backend, config: ModelConfig, shard: Shard, region: Region): CpuHead {
  const { dim, vocabSize, rmsEps } = config
  const { embedding, norm, output } = headWeights(backend, config, shard, region)
  const { x, logits } = allocateTogether(backend, (make) => ({
    x: make(dim), // (dim)
    logits: make(vocabSize), // (vocabSize)
  }))
  return {
    embed(tokens) {
      const hidden = new Float32Array(tokens.length * dim)
      for (const [i, token] of tokens.entries()) {
        backend.embed(x, embedding, [token])
        hidden.set(x.values(), i * dim)
      }
      return hidden
    },
    logits(hidden) {
      x.values().set(hidden)
      backend.rmsNorm(x, x, norm, 1, rmsEps)
      backend.matmul([{ out: logits, w: output }], x, 1)
      return logits.values()
    },
    free() {
      for (const thing of [region, x, logits]) thing.free()
    },
  }
}
