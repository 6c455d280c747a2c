/**
 * Which bytes of a GGUF file make up layer i and the head, and where each tensor lies once packed.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { GgufHeader, TensorInfo } from './header.ts'
import type { Packing } from './packing.ts'
import { type WeightType, weightTypes } from './quant.ts'

/** A tensor of a shard: where it comes from and where it goes. */
export type PackedTensor = {
  name: string
  type: WeightType
  /** W (rows, cols); a vector has rows 1 and is stored as GGUF stores it. */
  rows: number
  cols: number
  kind: 'matrix' | 'vector'
  /** Absolute, in the GGUF file. */
  sourceOffset: number
  sourceBytes: number
  /** In the shard's file; a multiple of 64. */
  offset: number
  byteLength: number
}

/** The part of a model that is stored and loaded as one file. */
export type Shard = {
  /** 'layer-007' or 'head' (embedding, output norm, lm_head unless tied). */
  file: string
  tensors: PackedTensor[]
  byteLength: number
}

/** The tensors outside the layers that only the head needs; `output.weight` is absent where the output is tied. */
const headTensors = ['token_embd.weight', 'output_norm.weight', 'output.weight']

/** RoPE's frequency factors (Llama 3.1): tens of floats, one tensor for all layers. */
const ropeFactors = 'rope_freqs.weight'

/** Cache lines, and the widest SIMD load of any backend. */
const tensorAlignment = 64

/** More than any real model; keeps a hostile name such as `blk.4000000000.x` from making an array of that length. */
const maxLayers = 1024

/**
 * Divides a model: one shard per layer and one for the head, tensors in the order of the file, so that a shard is
 * downloaded front to back.
 *
 * `rope_freqs.weight` is needed wherever a layer runs, and a device may hold any layers: every layer's shard has its own
 * copy. It is a few hundred bytes, so a layer stays one file that needs no other.
 *
 * @throws EngineError 'unsupported-model' for a weight type or a tensor that Hearth does not run, and for missing layers
 */
export function shardsOf(header: GgufHeader, packing: Packing): { layers: Shard[]; head: Shard } {
  const layers = new Map<number, TensorInfo[]>()
  const head: TensorInfo[] = []
  const everyLayer: TensorInfo[] = []
  for (const tensor of header.tensors) {
    const layer = layerOf(tensor.name)
    if (layer !== null) {
      const others = layers.get(layer)
      if (others) others.push(tensor)
      else layers.set(layer, [tensor])
    } else if (headTensors.includes(tensor.name)) head.push(tensor)
    else if (tensor.name === ropeFactors) everyLayer.push(tensor)
    else throw unsupported(`it has a tensor ${tensor.name}, which Hearth does not know what to do with`)
  }
  for (const name of headTensors.slice(0, 2)) {
    if (!head.some((tensor) => tensor.name === name)) throw unsupported(`it has no tensor ${name}`)
  }
  return {
    layers: Array.from({ length: layers.size }, (_, i) => {
      const tensors = layers.get(i)
      if (!tensors) throw unsupported(`layer ${i} is missing from its ${layers.size} layers`)
      return shard(`layer-${String(i).padStart(3, '0')}`, [...everyLayer, ...tensors], packing)
    }),
    head: shard('head', head, packing),
  }
}

function layerOf(name: string): number | null {
  const match = /^blk\.(\d{1,9})\./.exec(name)
  if (!match) return null
  const layer = Number(match[1])
  if (layer < maxLayers) return layer
  throw unsupported(`it has a tensor ${name}, and Hearth runs at most ${maxLayers} layers`)
}

function shard(file: string, tensors: TensorInfo[], packing: Packing): Shard {
  let end = 0
  const packed = tensors
    .toSorted((a, b) => a.offset - b.offset)
    .map((tensor) => {
      const offset = Math.ceil(end / tensorAlignment) * tensorAlignment
      const placed = { ...packedShape(tensor, packing), offset }
      end = offset + placed.byteLength
      return placed
    })
  return { file, tensors: packed, byteLength: end }
}

function packedShape(tensor: TensorInfo, packing: Packing): Omit<PackedTensor, 'offset'> {
  const { name, type, shape, offset: sourceOffset, byteLength: sourceBytes } = tensor
  const [cols = 0, rows = 1] = shape
  if (!isWeightType(type)) {
    throw unsupported(
      `tensor ${name} has weight type ${type}; Hearth runs ${Object.keys(weightTypes).join(', ')}`,
    )
  }
  const source = { name, type, rows, cols, sourceOffset, sourceBytes }
  if (shape.length === 1) {
    if (type !== 'F32')
      throw unsupported(`the vector ${name} has weight type ${type}; Hearth reads vectors in F32`)
    return { ...source, kind: 'vector', byteLength: sourceBytes }
  }
  if (shape.length > 2)
    throw unsupported(`tensor ${name} has ${shape.length} dimensions; Hearth runs matrices`)
  const byteLength = Math.ceil(rows / packing.rowGroup) * packing.groupBytes(type, cols)
  return { ...source, kind: 'matrix', byteLength }
}

function isWeightType(type: string): type is WeightType {
  return Object.hasOwn(weightTypes, type)
}

function unsupported(what: string): EngineError {
  return new EngineError(
    'unsupported-model',
    `Hearth cannot run this model: ${what}. Choose another version of it, such as Q4_K_M or Q8_0.`,
  )
}
