/**
 * The tensors that make up a Llama or Qwen2 model, with their shapes: one table, by which a header is checked and weights
 * are found.
 *
 * Source: tensor names of llama.cpp's llama-arch.cpp.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { GgufHeader, TensorInfo } from '../gguf/header.ts'
import { weightTypes } from '../gguf/quant.ts'
import type { ModelConfig } from './config.ts'
import { quote } from './metadata.ts'

/** A matrix W (rows, cols), or a vector with rows 1. */
export type TensorShape = { kind: 'matrix' | 'vector'; rows: number; cols: number; optional?: true }

/** Most tokens of a vocabulary; the largest today have 260,000. */
const maxVocabSize = 1 << 22

/** Name of tensor `name` of layer `layer`. */
export const layerTensorName = (layer: number, name: string): string => `blk.${layer}.${name}`

/** The factors of Llama 3.1's RoPE (headDim / 2), needed wherever layers run. */
export const ropeFactorsName = 'rope_freqs.weight'

/** Tensors of one layer, by what follows 'blk.N.'. */
export function layerTensors(config: ModelConfig) {
  const { dim, ffnDim } = config
  const qDim = config.nHeads * config.headDim
  const kvDim = config.nKvHeads * config.headDim
  return {
    'attn_norm.weight': vector(dim),
    'attn_q.weight': matrix(qDim, dim),
    'attn_k.weight': matrix(kvDim, dim),
    'attn_v.weight': matrix(kvDim, dim),
    'attn_q.bias': optional(vector(qDim)),
    'attn_k.bias': optional(vector(kvDim)),
    'attn_v.bias': optional(vector(kvDim)),
    'attn_output.weight': matrix(dim, qDim),
    'ffn_norm.weight': vector(dim),
    'ffn_gate.weight': matrix(ffnDim, dim),
    'ffn_up.weight': matrix(ffnDim, dim),
    'ffn_down.weight': matrix(dim, ffnDim),
  }
}

/** Tensors outside the layers. */
export function headTensors(config: ModelConfig) {
  const { dim, vocabSize, headDim } = config
  return {
    'token_embd.weight': matrix(vocabSize, dim),
    'output_norm.weight': vector(dim),
    'output.weight': optional(matrix(vocabSize, dim)),
    [ropeFactorsName]: optional(vector(headDim / 2)),
  }
}

/** @throws EngineError 'unsupported-model' when a tensor is missing, unknown, of an unknown type or of another shape */
export function checkTensors(header: GgufHeader, config: ModelConfig): void {
  const expected = new Map<string, TensorShape>(Object.entries(headTensors(config)))
  for (let layer = 0; layer < config.nLayers; layer++) {
    for (const [name, shape] of Object.entries<TensorShape>(layerTensors(config))) {
      expected.set(layerTensorName(layer, name), shape)
    }
  }
  if (config.vocabSize > maxVocabSize) {
    throw unsupported(`has a vocabulary of ${config.vocabSize} tokens; Hearth takes ${maxVocabSize} at most`)
  }
  const found = new Map(header.tensors.map((tensor) => [tensor.name, tensor]))
  for (const [name, shape] of expected) {
    const tensor = found.get(name)
    if (tensor) checkTensor(tensor, shape)
    else if (!shape.optional) throw unsupported(`has no tensor ${name}, which its architecture needs`)
  }
  for (const name of found.keys()) {
    if (!expected.has(name)) throw unsupported(`has a tensor ${quote(name)} that Hearth does not know`)
  }
}

function checkTensor(tensor: TensorInfo, { kind, rows, cols }: TensorShape): void {
  const [foundCols = 0, foundRows = 1, ...more] = tensor.shape
  if (foundCols !== cols || foundRows !== rows || more.some((size) => size !== 1)) {
    const wanted = kind === 'vector' ? `${cols}` : `${cols} × ${rows}`
    throw unsupported(
      `has tensor ${tensor.name} of shape ${tensor.shape.join(' × ')}, which should be ${wanted}`,
    )
  }
  if (!(tensor.type in weightTypes)) {
    throw unsupported(
      `stores ${tensor.name} as ${tensor.type}; Hearth runs ${Object.keys(weightTypes).join(', ')}`,
    )
  }
  if (kind === 'vector' && tensor.type !== 'F32') {
    throw unsupported(`stores ${tensor.name} as ${tensor.type}; Hearth takes norms and biases as F32`)
  }
}

function unsupported(what: string): EngineError {
  return new EngineError('unsupported-model', `This model ${what}. Choose another version of the model.`)
}

const matrix = (rows: number, cols: number): TensorShape => ({ kind: 'matrix', rows, cols })
const vector = (length: number): TensorShape => ({ kind: 'vector', rows: 1, cols: length })
const optional = (shape: TensorShape): TensorShape => ({ ...shape, optional: true })
