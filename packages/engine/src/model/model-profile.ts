/**
 * A model as the planner must know it: bytes by weight type, layer by layer.
 *
 * @module
 */
import type { BytesByType, ModelProfile } from '@hearth/halda'
import type { PackedTensor, Shard } from '../gguf/shards.ts'
import type { ModelConfig } from './config.ts'
import { rowScratchBytes } from './forward-pass.ts'
import { rowsAtOnce } from './layers-cpu.ts'

/** What the kernels keep for themselves, and what is too small to be counted one by one. */
const ownBytes = 2 ** 20
/** K and V are kept in f16. */
const kvBytesPerValue = 2

/**
 * @param shards as they are stored, packed: what is read for every token, and what a device's memory must hold
 */
export function modelProfile(config: ModelConfig, shards: { layers: Shard[]; head: Shard }): ModelProfile {
  const isEmbedding = (tensor: PackedTensor) => tensor.name === 'token_embd.weight'
  const embedding = shards.head.tensors.filter(isEmbedding)
  const output = shards.head.tensors.filter((tensor) => config.tiedOutput || !isEmbedding(tensor))
  return {
    name: config.name,
    nLayers: config.nLayers,
    dim: config.dim,
    layerBytes: shards.layers.map((shard) => bytesByType(shard.tensors)),
    outputBytes: bytesByType(output),
    embeddingBytes: embedding.reduce((sum, tensor) => sum + tensor.byteLength, 0),
    tiedOutput: config.tiedOutput,
    kvBytesPerPosition: 2 * config.nKvHeads * config.headDim * kvBytesPerValue,
    contextLength: config.contextLength,
    bufferBytes: bufferBytes(config),
    headDim: config.headDim,
  }
}

/** Scratch of the layers and of the head, and hidden states and logits as they leave them. */
function bufferBytes(config: ModelConfig): number {
  const { dim, vocabSize } = config
  const layers = rowsAtOnce(config) * (rowScratchBytes(config) + 4 * dim)
  return layers + 4 * (3 * dim + 3 * vocabSize) + ownBytes
}

function bytesByType(tensors: readonly PackedTensor[]): BytesByType {
  const bytes: Record<string, number> = {}
  for (const { type, byteLength } of tensors) bytes[type] = (bytes[type] ?? 0) + byteLength
  return bytes
}
