/**
 * A whole model from any source into a backend: what a device does with its share, done at once for all layers.
 *
 * @module
 */
import type { Backend, Region } from '../backend/backend.ts'
import { EngineError } from '../errors.ts'
import { readHeader, type GgufHeader } from '../gguf/header.ts'
import { shardParts, type ShardPart } from '../gguf/shard-parts.ts'
import { outputOf, outputPieces, tensorOf } from '../gguf/output-pieces.ts'
import { shardsOf, type PackedTensor, type Shard } from '../gguf/shards.ts'
import { modelConfig, type ModelConfig } from '../model/config.ts'
import { createHead, type CpuHead } from '../model/head-cpu.ts'
import { createLayers, type CpuLayers } from '../model/layers-cpu.ts'
import { createByteReader } from '../store/byte-reader.ts'
import type { RangeSource } from '../store/source.ts'

export type LoadedModel = {
  header: GgufHeader
  config: ModelConfig
  layers: CpuLayers
  head: CpuHead
  /** What lies where: a shard for each layer, then one for each of the head's tensors. */
  held: readonly { shard: Shard; region: Region }[]
}

/**
 * Reads all shards, packing each tensor as it arrives.
 *
 * @param options.maxRows see {@link createLayers}
 * @throws EngineError of the header, the config, the source, and 'out-of-memory'
 */
export async function loadModel(
  source: RangeSource,
  backend: Backend,
  options: { maxRows?: number } = {},
): Promise<LoadedModel> {
  const header = await readHeader(source)
  const config = modelConfig(header)
  const shards = shardsOf(header, backend.packing)
  const layers = createLayers(backend, config, options)
  const held: { shard: Shard; region: Region }[] = []
  const bring = async (shard: Shard): Promise<Region> => {
    const region = await readShard(source, shard, backend)
    held.push({ shard, region })
    return region
  }
  for (const [layer, shard] of shards.layers.entries()) layers.load(layer, shard, await bring(shard))
  const only = (tensor: PackedTensor): Shard => ({
    file: shards.head.file,
    tensors: [{ ...tensor, offset: 0 }],
    byteLength: tensor.byteLength,
  })
  const head = createHead({
    backend,
    config,
    shard: shards.head,
    pieces: outputPieces(shards.head, backend.packing, Infinity),
    norm: await bring(only(tensorOf(shards.head, 'output_norm.weight'))),
    read: () => {
      throw new EngineError('bug', 'A row of an embedding that is held was read')
    },
  })
  head.load(0, await bring(only(outputOf(shards.head))))
  if (!config.tiedOutput) head.loadEmbedding(await bring(only(tensorOf(shards.head, 'token_embd.weight'))))
  return { header, config, layers, head, held }
}

async function readShard(source: RangeSource, shard: Shard, backend: Backend): Promise<Region> {
  const region = backend.region(shard.byteLength)
  for (const part of shardParts(shard, backend.packing)) await readPart(source, part, region)
  return region
}

async function readPart(source: RangeSource, part: ShardPart, region: Region): Promise<void> {
  const { sourceOffset, sourceBytes, unitSourceBytes, unitBytes, pack } = part
  const reader = createByteReader(source.stream(sourceOffset, sourceOffset + sourceBytes), () => {})
  try {
    let at = part.offset
    for (let done = 0; done < sourceBytes; done += unitSourceBytes) {
      const unit = await reader.take(Math.min(unitSourceBytes, sourceBytes - done))
      pack(unit, region.bytes().subarray(at, at + unitBytes))
      at += unitBytes
    }
  } finally {
    await reader.close()
  }
}
