/**
 * The blueprint of a model, from GGUF metadata: read once, with bounds on everything, before any weight is fetched.
 *
 * Source: keys of the GGUF specification (ggml/docs/gguf.md) and of llama.cpp's llama-arch.cpp.
 *
 * @module
 */
import type { RopePairs } from '../backend/backend.ts'
import { EngineError } from '../errors.ts'
import type { GgufHeader } from '../gguf/header.ts'
import { metadataReader, quote } from './metadata.ts'
import { checkTensors } from './tensors.ts'

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
  /** Linear scaling: positions count 1 / ropeScale as much. 1 is none. */
  ropeScale: number
  ropePairs: RopePairs
  /** lm_head is the token embedding. */
  tiedOutput: boolean
}

/** llama.cpp permutes Llama's q and k when it converts, so that neighbours turn together; Qwen's stay as trained. */
const architectures: Readonly<Record<ModelConfig['architecture'], { ropePairs: RopePairs }>> = {
  llama: { ropePairs: 'adjacent' },
  qwen2: { ropePairs: 'halves' },
}

/** A frame counts layers and width in 16 bits (wire.ts), and a plan has 1,024 layers at most (protocol.ts). */
const maxLayers = 1024
const maxDim = 65_535
const maxHeads = 1024
const maxHeadDim = 1024
const maxFfnDim = 1 << 20
const maxContextLength = 1 << 24
const maxNameChars = 64

/** @throws EngineError 'unsupported-model', naming what was found and what is supported */
export function modelConfig(header: GgufHeader): ModelConfig {
  const architecture = architectureOf(header.metadata['general.architecture'])
  const read = metadataReader(header.metadata, architecture)
  refuseExperts(read.integer('expert_count', { min: 0, max: 65_536, absent: 0 }))

  const dim = read.integer('embedding_length', { min: 1, max: maxDim })
  const nHeads = read.integer('attention.head_count', { min: 1, max: maxHeads })
  const nKvHeads = read.integer('attention.head_count_kv', { min: 1, max: nHeads, absent: nHeads })
  const headDim = read.integer('attention.key_length', { min: 2, max: maxHeadDim, absent: dim / nHeads })
  refuseHeads(nHeads, nKvHeads, headDim, {
    value: read.integer('attention.value_length', { min: 2, max: maxHeadDim, absent: headDim }),
    rotated: read.integer('rope.dimension_count', { min: 2, max: maxHeadDim, absent: headDim }),
  })

  const config: ModelConfig = {
    name: nameOf(header.metadata['general.name']),
    architecture,
    nLayers: read.integer('block_count', { min: 1, max: maxLayers }),
    dim,
    nHeads,
    nKvHeads,
    headDim,
    ffnDim: read.integer('feed_forward_length', { min: 1, max: maxFfnDim }),
    vocabSize: header.tensors.find((tensor) => tensor.name === 'token_embd.weight')?.shape[1] ?? 0,
    contextLength: read.integer('context_length', { min: 1, max: maxContextLength }),
    rmsEps: read.number('attention.layer_norm_rms_epsilon', { min: 0, max: 1 }),
    ropeBase: read.number('rope.freq_base', { min: 1, max: 1e12, absent: 10_000 }),
    ropeScale: ropeScale(read),
    ropePairs: architectures[architecture].ropePairs,
    tiedOutput: !header.tensors.some((tensor) => tensor.name === 'output.weight'),
  }
  checkTensors(header, config)
  return config
}

/**
 * θ_i (headDim / 2), the angles by which pair i of a head turns per position: ropeBase^(−2i / headDim), scaled.
 *
 * Source: RoFormer (arXiv 2104.09864) equation 15; llama.cpp's `rope_freqs`, by which Llama 3.1 divides each.
 *
 * @param factors (headDim / 2), the tensor rope_freqs.weight where the model has one
 */
export function inverseFrequencies(config: ModelConfig, factors?: ArrayLike<number>): Float32Array {
  const { headDim, ropeBase, ropeScale: scale } = config
  return Float32Array.from(
    { length: headDim / 2 },
    (_, i) => ropeBase ** ((-2 * i) / headDim) / scale / (factors?.[i] ?? 1),
  )
}

function architectureOf(found: unknown): ModelConfig['architecture'] {
  if (found === 'llama' || found === 'qwen2') return found
  throw new EngineError(
    'unsupported-model',
    `This model's architecture is ${quote(found)}; Hearth runs ${Object.keys(architectures).join(' and ')}. Choose a model of one of these.`,
  )
}

function nameOf(found: unknown): string {
  const name = typeof found === 'string' ? found.trim().slice(0, maxNameChars) : ''
  return name === '' ? 'unnamed model' : name
}

/**
 * Scaling kinds: none, linear, and Llama 3.1's, which is no key but the tensor rope_freqs.weight.
 *
 * As llama.cpp reads it, a factor without a kind is linear; `rope.scale_linear` is the key's older name.
 */
function ropeScale(read: ReturnType<typeof metadataReader>): number {
  const kind = read.string('rope.scaling.type', 'linear')
  const bounds = { min: 1e-3, max: 1e6 }
  const older = read.number('rope.scale_linear', { ...bounds, absent: 1 })
  if (kind === 'none') return 1
  if (kind === 'linear') return read.number('rope.scaling.factor', { ...bounds, absent: older })
  throw new EngineError(
    'unsupported-model',
    `This model scales its positions by ${quote(kind)}; Hearth knows none, linear and the factors of Llama 3.1. Choose a version without ${quote(kind)}.`,
  )
}

function refuseExperts(experts: number): void {
  if (experts === 0) return
  throw new EngineError(
    'unsupported-model',
    `This model mixes ${experts} experts per layer; Hearth runs dense llama and qwen2 models. Choose one of these.`,
  )
}

function refuseHeads(
  nHeads: number,
  nKvHeads: number,
  headDim: number,
  widths: { value: number; rotated: number },
): void {
  const said = `${nHeads} heads of ${headDim} over ${nKvHeads} KV heads (values ${widths.value} wide, ${widths.rotated} lanes rotated)`
  const fits =
    nHeads % nKvHeads === 0 && headDim % 2 === 0 && widths.value === headDim && widths.rotated === headDim
  if (fits) return
  throw new EngineError(
    'unsupported-model',
    `This model has ${said}; Hearth needs whole groups of heads, an even width, values as wide as keys and all lanes rotated.`,
  )
}
