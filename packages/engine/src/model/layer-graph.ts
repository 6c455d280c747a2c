/**
 * One layer of Llama or Qwen2 as an ONNX graph: what `model/forward-pass.ts` does step by step, said to onnxruntime. Its
 * weights come in with each run, so that one session serves all layers of a model whose matrices have the same types.
 *
 * Source: operators of onnxruntime's docs/ContribOperators.md: GroupQueryAttention turns q and k by their positions,
 * appends k and v to caches that are its inputs and outputs at once, and attends causally.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { WeightType } from '../gguf/quant.ts'
import type { ModelConfig } from './config.ts'
import { gpuFormats } from '../gpu/gpu-weights.ts'
import {
  onnxModel,
  type OnnxAttribute,
  type OnnxConstant,
  type OnnxNode,
  type OnnxValue,
} from '../gpu/onnx-model.ts'

/** The matrices of a layer, as the names of the graph's inputs begin. */
export const layerMatrices = [
  'attn_q',
  'attn_k',
  'attn_v',
  'attn_output',
  'ffn_gate',
  'ffn_up',
  'ffn_down',
] as const
export type LayerMatrix = (typeof layerMatrices)[number]

/** What decides which graph runs a layer: the types of its matrices, and whether q, k and v have biases. */
export type LayerShape = { types: Readonly<Record<LayerMatrix, WeightType>>; hasBiases: boolean }

/** Vectors of a layer; biases where the model has them. */
export const layerVectors = ['attn_norm', 'ffn_norm'] as const
export const biasVectors = ['attn_q.bias', 'attn_k.bias', 'attn_v.bias'] as const

/** Kernels for heads of other widths do not exist there: `CheckInputs` of GroupQueryAttention. */
const headMultiple = 16

/** What a graph must know of a model. */
export type GraphConfig = Pick<
  ModelConfig,
  'dim' | 'nHeads' | 'nKvHeads' | 'headDim' | 'ffnDim' | 'rmsEps' | 'ropePairs'
>

/** Whether onnxruntime's kernels take a model of this shape. @returns null, or why not */
export function gpuRefusal({ headDim }: Pick<ModelConfig, 'headDim'>): string | null {
  return headDim % headMultiple === 0
    ? null
    : `its heads are ${headDim} wide, and on a GPU they must be a multiple of ${headMultiple}`
}

/**
 * Inputs: `x` (rows, dim); `attn_norm`, `ffn_norm` (dim); for each matrix either `NAME.values`, or `NAME.quants`,
 * `NAME.scales` and perhaps `NAME.corrections` (`gpu-weights.ts`); perhaps biases; `cos`, `sin` (positions, headDim / 2);
 * `past_key`, `past_value` (1, nKvHeads, capacity, headDim); `last_position` (1) of the rows and `positions` (1), one more.
 * Outputs: `y` (rows, dim), `present_key`, `present_value`: bind the buffers of the past to them.
 *
 * @throws EngineError 'unsupported-model' where {@link gpuRefusal} says why
 */
export function layerGraph(config: GraphConfig, { types, hasBiases }: LayerShape): Uint8Array {
  const refusal = gpuRefusal(config)
  if (refusal) throw new EngineError('unsupported-model', `This model cannot run on a GPU: ${refusal}.`)
  const { dim, nHeads, nKvHeads, headDim, ffnDim, rmsEps, ropePairs } = config
  const [qDim, kvDim] = [nHeads * headDim, nKvHeads * headDim]
  const shapes: Record<LayerMatrix, [rows: number, cols: number]> = {
    attn_q: [qDim, dim],
    attn_k: [kvDim, dim],
    attn_v: [kvDim, dim],
    attn_output: [dim, qDim],
    ffn_gate: [ffnDim, dim],
    ffn_up: [ffnDim, dim],
    ffn_down: [dim, ffnDim],
  }
  const nodes: OnnxNode[] = []
  const inputs: OnnxValue[] = []
  const constants: OnnxConstant[] = []

  const input = (name: string, dims: OnnxValue['dims'], type: OnnxValue['type'] = 'float32') => {
    inputs.push({ name, type, dims })
    return name
  }
  function constant(name: string, values: readonly number[]): string {
    const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer)
    if (!constants.some((known) => known.name === name))
      constants.push({ name, type: 'int64', dims: [values.length], bytes })
    return name
  }
  function node(
    op: string,
    from: string[],
    to: string | string[],
    attributes: Record<string, OnnxAttribute> = {},
  ) {
    const outputs = typeof to === 'string' ? [to] : to
    const domain = microsoftOps.includes(op) ? { domain: 'com.microsoft' } : {}
    nodes.push({ op, ...domain, inputs: from, outputs, attributes })
    return outputs[0]!
  }

  /** Sums over 32 columns of x (rows, cols), for corrections; made once for all products that share x. */
  function sumsOf(x: string, cols: number): string {
    const sums = `${x}.sums`
    if (nodes.some(({ outputs }) => outputs[0] === sums)) return sums
    const blocks = node('Reshape', [x, constant(`by32.${cols}`, [-1, cols / 32, 32])], `${x}.blocks`)
    return node('ReduceSum', [blocks, constant('last_axis', [2])], sums, { keepdims: { int: 0 } })
  }

  /** W · x, (rows of x, rows of W). */
  function product(name: LayerMatrix, x: string): string {
    const [rows, cols] = shapes[name]
    const format = gpuFormats[types[name]]
    if (!format) {
      const values = input(`${name}.values`, [rows, cols])
      return node('Gemm', [x, values], `${name}.x`, { transB: { int: 1 } })
    }
    const { bits, block, corrected } = format
    const blocks = cols / block
    const quants = input(`${name}.quants`, [rows, blocks, (block * bits) / 8], 'uint8')
    const scales = input(`${name}.scales`, [rows, blocks])
    const scaled = node('MatMulNBits', [x, quants, scales], `${name}.x`, {
      K: { int: cols },
      N: { int: rows },
      bits: { int: bits },
      block_size: { int: block },
    })
    if (!corrected) return scaled
    const corrections = input(`${name}.corrections`, [rows, cols / 32])
    return node('Gemm', [sumsOf(x, cols), corrections, scaled], `${name}.corrected`, { transB: { int: 1 } })
  }

  function biased(name: 'attn_q' | 'attn_k' | 'attn_v', x: string): string {
    const raw = product(name, x)
    if (!hasBiases) return raw
    return node('Add', [raw, input(`${name}.bias`, [shapes[name][0]])], `${name}.biased`)
  }

  /** A sequence as GroupQueryAttention takes it: (1, rows, width). */
  const asBatch = (x: string) => node('Unsqueeze', [x, constant('first_axis', [0])], `${x}.batch`)

  const x = input('x', ['rows', dim])
  const epsilon = { epsilon: { float: rmsEps }, axis: { int: -1 } }
  const normed = node('SimplifiedLayerNormalization', [x, input('attn_norm', [dim])], 'normed', epsilon)
  const [q, k, v] = (['attn_q', 'attn_k', 'attn_v'] as const).map((name) => asBatch(biased(name, normed)))
  const cacheDims = [1, nKvHeads, 'capacity', headDim]
  const attended = node(
    'GroupQueryAttention',
    [
      q!,
      k!,
      v!,
      input('past_key', cacheDims),
      input('past_value', cacheDims),
      input('last_position', [1], 'int32'),
      input('positions', [1], 'int32'),
      input('cos', ['angles', headDim / 2]),
      input('sin', ['angles', headDim / 2]),
    ],
    ['attended.batch', 'present_key', 'present_value'],
    {
      num_heads: { int: nHeads },
      kv_num_heads: { int: nKvHeads },
      do_rotary: { int: 1 },
      rotary_interleaved: { int: ropePairs === 'adjacent' ? 1 : 0 },
    },
  )
  const heads = node('Squeeze', [attended, constant('first_axis', [0])], 'attended')
  const attention = product('attn_output', heads)
  node(
    'SkipSimplifiedLayerNormalization',
    [x, attention, input('ffn_norm', [dim])],
    ['ffn_normed', '', '', 'residual'],
    { epsilon: { float: rmsEps } },
  )
  const gate = node('QuickGelu', [product('ffn_gate', 'ffn_normed')], 'silu', { alpha: { float: 1 } })
  const gated = node('Mul', [gate, product('ffn_up', 'ffn_normed')], 'gated')
  node('Add', ['residual', product('ffn_down', gated)], 'y')

  const outputs: OnnxValue[] = [
    { name: 'y', type: 'float32', dims: ['rows', dim] },
    { name: 'present_key', type: 'float32', dims: cacheDims },
    { name: 'present_value', type: 'float32', dims: cacheDims },
  ]
  return onnxModel({ nodes, inputs, outputs, constants })
}

const microsoftOps = ['MatMulNBits', 'GroupQueryAttention', 'SkipSimplifiedLayerNormalization', 'QuickGelu']
