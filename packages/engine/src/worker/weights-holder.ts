/**
 * The part of a model that this device holds in memory: fetched, checked, loaded; what the next plan shares with this
 * one stays.
 *
 * @module
 */
import type { Backend, Region } from '../backend/backend.ts'
import type { Shard } from '../gguf/shards.ts'
import { shardParts } from '../gguf/shard-parts.ts'
import { createHead, type CpuHead } from '../model/head-cpu.ts'
import { createLayers, type CpuLayers } from '../model/layers-cpu.ts'
import { loadShard } from '../store/load-shard.ts'
import type { Shelf } from '../store/piece-writer.ts'
import type { OpenModel } from './open-model.ts'

export type Holding = {
  layers: readonly number[]
  head: boolean
}

export interface WeightsHolder {
  readonly model: OpenModel
  readonly layers: CpuLayers
  readonly head: CpuHead | null
  /**
   * Holds exactly this from now on.
   *
   * @param onprogress bytes of shards at hand, of all that `holding` needs
   * @throws EngineError of the store and the source; 'out-of-memory'; 'aborted'. What was loaded stays.
   */
  hold(
    holding: Holding,
    onprogress: (loadedBytes: number, totalBytes: number) => void,
    signal: AbortSignal,
  ): Promise<void>
  free(): void
}

export function createWeightsHolder(model: OpenModel, backend: Backend, shelf: Shelf): WeightsHolder {
  const { config, shards } = model
  const layers = createLayers(backend, config)
  let head: CpuHead | null = null

  async function load(
    shard: Shard,
    onprogress: (packedBytes: number) => void,
    signal: AbortSignal,
  ): Promise<Region> {
    let region: Region | null = null
    try {
      await loadShard({
        ...shelf,
        source: model.source,
        name: { model: model.key, file: shard.file },
        parts: shardParts(shard, backend.packing),
        byteLength: shard.byteLength,
        into: () => (region ??= backend.region(shard.byteLength)).bytes(),
        onprogress: ({ packedBytes }) => onprogress(packedBytes),
        signal,
      })
      return region!
    } catch (thrown) {
      ;(region as Region | null)?.free()
      throw thrown
    }
  }

  return {
    model,
    layers,
    get head() {
      return head
    },
    async hold(holding, onprogress, signal) {
      for (const layer of layers.loaded()) if (!holding.layers.includes(layer)) layers.unload(layer)
      if (head && !holding.head) {
        head.free()
        head = null
      }
      const loaded = new Set(layers.loaded())
      const missing = holding.layers.filter((layer) => !loaded.has(layer))
      const wanted = [
        ...holding.layers.map((layer) => shards.layers[layer]!),
        ...(holding.head ? [shards.head] : []),
      ]
      const totalBytes = bytesOf(wanted)
      let atHand = totalBytes - bytesOf(missing.map((layer) => shards.layers[layer]!))
      if (holding.head && !head) atHand -= shards.head.byteLength
      const step = async (shard: Shard): Promise<Region> => {
        const region = await load(
          shard,
          (packedBytes) => onprogress(atHand + packedBytes, totalBytes),
          signal,
        )
        atHand += shard.byteLength
        onprogress(atHand, totalBytes)
        return region
      }
      onprogress(atHand, totalBytes)
      for (const layer of missing) {
        const shard = shards.layers[layer]!
        layers.load(layer, shard, await step(shard))
      }
      if (holding.head && !head) head = createHead(backend, config, shards.head, await step(shards.head))
    },
    free() {
      head?.free()
      layers.free()
    },
  }
}

const bytesOf = (shards: readonly Shard[]) => shards.reduce((total, { byteLength }) => total + byteLength, 0)
