/**
 * Shapes of published models, by which synthetic ones are made: what decides bytes and operations, and nothing of what
 * was learned.
 *
 * Source: `config.json` of meta-llama/Llama-3.2-1B, Llama-3.2-3B, Meta-Llama-3-8B and -70B, Qwen/Qwen2.5-0.5B to -72B,
 * TinyLlama/TinyLlama-1.1B-Chat-v1.0.
 *
 * @module
 */
import type { ModelConfig } from '../../model/config.ts'

export type ModelShape = Pick<
  ModelConfig,
  | 'architecture'
  | 'nLayers'
  | 'dim'
  | 'nHeads'
  | 'nKvHeads'
  | 'ffnDim'
  | 'vocabSize'
  | 'contextLength'
  | 'rmsEps'
  | 'ropeBase'
  | 'tiedOutput'
> & {
  /** Llama 3.2 slows RoPE's slow turns by this factor (`rope_freqs.weight`). */
  ropeFactor?: number
}

const llama3 = {
  architecture: 'llama',
  nKvHeads: 8,
  vocabSize: 128_256,
  rmsEps: 1e-5,
  ropeBase: 500_000,
} as const

const largeLlama = { ...llama3, contextLength: 8192, tiedOutput: false } as const
const llama32 = { ...llama3, contextLength: 131_072, ropeFactor: 32, tiedOutput: true } as const

const llama2 = {
  architecture: 'llama',
  dim: 2048,
  nHeads: 32,
  vocabSize: 32_000,
  rmsEps: 1e-5,
  ropeBase: 10_000,
  tiedOutput: false,
} as const

const qwen25 = { architecture: 'qwen2', contextLength: 32_768, rmsEps: 1e-6, ropeBase: 1_000_000 } as const
const smallQwen = { ...qwen25, vocabSize: 151_936, nKvHeads: 2, tiedOutput: true } as const
const largeQwen = { ...qwen25, vocabSize: 152_064, nKvHeads: 8, tiedOutput: false } as const

export const modelShapes = {
  'llama-3.2-1b': { ...llama32, nLayers: 16, dim: 2048, nHeads: 32, ffnDim: 8192 },
  'llama-3.2-3b': { ...llama32, nLayers: 28, dim: 3072, nHeads: 24, ffnDim: 8192 },
  'llama-3-8b': { ...largeLlama, nLayers: 32, dim: 4096, nHeads: 32, ffnDim: 14_336 },
  'llama-3-70b': { ...largeLlama, nLayers: 80, dim: 8192, nHeads: 64, ffnDim: 28_672 },
  'qwen2.5-0.5b': { ...smallQwen, nLayers: 24, dim: 896, nHeads: 14, ffnDim: 4864 },
  'qwen2.5-1.5b': { ...smallQwen, nLayers: 28, dim: 1536, nHeads: 12, ffnDim: 8960 },
  'qwen2.5-7b': { ...largeQwen, nLayers: 28, dim: 3584, nHeads: 28, nKvHeads: 4, ffnDim: 18_944 },
  'qwen2.5-14b': { ...largeQwen, nLayers: 48, dim: 5120, nHeads: 40, ffnDim: 13_824 },
  'qwen2.5-32b': { ...largeQwen, nLayers: 64, dim: 5120, nHeads: 40, ffnDim: 27_648 },
  'qwen2.5-72b': { ...largeQwen, nLayers: 80, dim: 8192, nHeads: 64, ffnDim: 29_568 },
  'tinyllama-1.1b': { ...llama2, contextLength: 2048, nLayers: 22, nKvHeads: 4, ffnDim: 5632 },
  /** The shape of packages/engine's table of CPU speed: large enough for no cache, small enough to try often. */
  'hearth-1.1b': { ...llama2, contextLength: 4096, nLayers: 16, nKvHeads: 8, ffnDim: 8192 },
} as const satisfies Record<string, ModelShape>

export type ShapeName = keyof typeof modelShapes
