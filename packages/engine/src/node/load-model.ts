/**
 * A whole model from any source into a backend: what a device does with its share, done at once for all layers.
 *
 * @module
 */
import type { Backend, Region } from '../backend/backend.ts'
import { readHeader, type GgufHeader } from '../gguf/header.ts'
import { shardParts, type ShardPart } from '../gguf/shard-parts.ts'
import { shardsOf, type Shard } from '../gguf/shards.ts'
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
  /** What lies where: a shard for each layer, then the head's. */
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
  for (const shard of [...shards.layers, shards.head]) {
    held.push({ shard, region: await readShard(source, shard, backend) })
  }
  const headRegion = held.at(-1)!.region
  for (const [layer, shard] of shards.layers.entries()) layers.load(layer, shard, held[layer]!.region)
  const head = createHead(backend, config, shards.head, headRegion)
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
