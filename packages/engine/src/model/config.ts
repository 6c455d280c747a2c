/**
 * The blueprint of a model, from GGUF metadata.
 *
 * @module
 */
import type { RopePairs } from '../backend/backend.ts'

export type ModelConfig = {
  name: string
  architecture: 'llama' | 'qwen2'
  nLayers: number
  /** Width of the hidden state. */
  dim: number
  nHeads: number
  nKvHeads: number
  headDim: number
  ffnDim: number
  vocabSize: number
  /** Positions the model was trained for. */
  contextLength: number
  rmsEps: number
  ropeBase: number
  ropePairs: RopePairs
  /** lm_head is the token embedding. */
  tiedOutput: boolean
}
