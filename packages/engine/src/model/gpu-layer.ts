/**
 * One layer's weights on the GPU, as a session of its graph takes them.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { GpuMemory } from '../gpu/gpu-memory.ts'
import { gpuFormats, gpuWeightBytes, gpuWeights } from '../gpu/gpu-weights.ts'
import type { Gpu } from '../gpu/gpu.ts'
import type { Tensor } from '../gpu/runtime.ts'
import type { PackedTensor, Shard } from '../gguf/shards.ts'
import { inverseFrequencies, type ModelConfig } from './config.ts'
import { biasVectors, layerMatrices, layerVectors, type LayerMatrix, type LayerShape } from './layer-graph.ts'
import { layerTensorName, ropeFactorsName } from './tensors.ts'

export type GpuLayer = {
  /** (headDim / 2) */
  theta: Float32Array
  /** Inputs of `layerGraph` that are the layer's own. */
  feeds: Readonly<Record<string, Tensor>>
  free(): void
}

/** What decides which graph runs it. */
export function shapeOf(layer: number, shard: Shard): LayerShape {
  const find = finder(layer, shard)
  const types = Object.fromEntries(
    layerMatrices.map((name) => [name, find(`${name}.weight`).type]),
  ) as Record<LayerMatrix, PackedTensor['type']>
  return {
    types,
    hasBiases: shard.tensors.some(({ name }) => name === layerTensorName(layer, biasVectors[0])),
  }
}

/** Bytes of GPU memory that a layer's weights take. */
export function gpuLayerBytes({ tensors }: Shard): number {
  return tensors.reduce((sum, { kind, type, rows, cols, byteLength }) => {
    return sum + (kind === 'matrix' ? gpuWeightBytes(type, rows, cols) : byteLength)
  }, 0)
}

/**
 * Uploads what lies in `packed`, the shard's bytes in the layout of the CPU's kernels.
 *
 * @throws EngineError 'gpu-full'; then nothing is held
 */
export function uploadLayer(
  gpu: Gpu,
  memory: GpuMemory,
  config: ModelConfig,
  { layer, shard, packed }: { layer: number; shard: Shard; packed: Uint8Array },
): GpuLayer {
  const find = finder(layer, shard)
  const buffers: GPUBuffer[] = []
  const feeds: Record<string, Tensor> = {}

  function put(name: string, content: Float32Array | Uint8Array, dims: number[]): void {
    const buffer = memory.filled(content)
    buffers.push(buffer)
    feeds[name] = gpu.tensor(buffer, content instanceof Uint8Array ? 'uint8' : 'float32', dims)
  }

  const bytesOf = ({ offset, byteLength }: PackedTensor) => packed.subarray(offset, offset + byteLength)
  const valuesOf = (tensor: PackedTensor) => new Float32Array(bytesOf(tensor).slice().buffer)

  function putMatrix(name: LayerMatrix): void {
    const tensor = find(`${name}.weight`)
    const { type, rows, cols } = tensor
    const made = gpuWeights(type, rows, cols, bytesOf(tensor))
    if ('values' in made) return put(`${name}.values`, made.values, [rows, cols])
    const { bits, block } = gpuFormats[type]!
    put(`${name}.quants`, made.quants, [rows, cols / block, (block * bits) / 8])
    put(`${name}.scales`, made.scales, [rows, cols / block])
    if (made.corrections) put(`${name}.corrections`, made.corrections, [rows, cols / 32])
  }

  const free = () => buffers.forEach(memory.free)
  try {
    memory.checkRoom(gpuLayerBytes(shard))
    for (const name of layerMatrices) putMatrix(name)
    for (const name of layerVectors) {
      const values = valuesOf(find(`${name}.weight`))
      put(name, values, [values.length])
    }
    for (const name of shapeOf(layer, shard).hasBiases ? biasVectors : []) {
      const values = valuesOf(find(name))
      put(name, values, [values.length])
    }
  } catch (thrown) {
    free()
    throw thrown
  }
  const factors = shard.tensors.find(({ name }) => name === ropeFactorsName)
  return {
    theta: inverseFrequencies(config, factors && valuesOf(factors)),
    feeds,
    free,
  }
}

const finder = (layer: number, { file, tensors }: Shard) => {
  return (name: string): PackedTensor => {
    const tensor = tensors.find((tensor) => tensor.name === layerTensorName(layer, name))
    if (!tensor) throw new EngineError('bug', `Shard ${file} holds no ${layerTensorName(layer, name)}`)
    return tensor
  }
}
