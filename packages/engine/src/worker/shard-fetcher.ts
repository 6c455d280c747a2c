/**
 * From a model's source to this device: shards into its store, parts of them into the backend's memory, checked.
 *
 * @module
 */
import type { Backend, Region } from '../backend/backend.ts'
import { shardParts } from '../gguf/shard-parts.ts'
import type { Shard } from '../gguf/shards.ts'
import { downloadShard, type DownloadOptions } from '../store/download.ts'
import { loadShard } from '../store/load-shard.ts'
import type { Shelf } from '../store/piece-writer.ts'
import type { OpenModel } from './open-model.ts'

export type Fetching = {
  /** Told how much of the shard is packed and stored. */
  onprogress(packedBytes: number): void
  signal: AbortSignal
}

export interface ShardFetcher {
  /** Stores a shard where it is missing. @throws EngineError of `downloadShard` */
  fetch(shard: Shard, fetching: Fetching): Promise<void>
  /**
   * A part of a shard in a region of its own; the shard is fetched where it is missing or damaged.
   *
   * @throws EngineError of `loadShard`; 'out-of-memory'
   */
  bring(shard: Shard, part: { offset: number; byteLength: number }, fetching: Fetching): Promise<Region>
}

export function createShardFetcher({ key, source }: OpenModel, backend: Backend, shelf: Shelf): ShardFetcher {
  const downloadOf = (shard: Shard, { onprogress, signal }: Fetching): DownloadOptions => ({
    ...shelf,
    source,
    name: { model: key, file: shard.file },
    parts: shardParts(shard, backend.packing),
    byteLength: shard.byteLength,
    onprogress: ({ packedBytes }) => onprogress(packedBytes),
    signal,
  })

  return {
    fetch: (shard, fetching) => downloadShard(downloadOf(shard, fetching)),
    async bring(shard, { offset, byteLength }, fetching) {
      const region = backend.region(byteLength)
      try {
        const range = { offset, byteLength }
        await loadShard({ ...downloadOf(shard, fetching), range, into: () => region.bytes() })
        return region
      } catch (thrown) {
        region.free()
        throw thrown
      }
    },
  }
}
