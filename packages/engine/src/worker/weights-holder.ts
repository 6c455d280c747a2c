/**
 * The part of a model that this device holds: fetched, checked, loaded as far as its memory allows; the rest streams
 * from the store. What the next plan shares with this one stays.
 *
 * @module
 */
import { chooseResidency, leastResidentBytes, type Residency } from '@hearth/halda'
import type { Backend, Region } from '../backend/backend.ts'
import { EngineError } from '../errors.ts'
import { shardParts } from '../gguf/shard-parts.ts'
import type { Shard } from '../gguf/shards.ts'
import { createHead, type CpuHead } from '../model/head-cpu.ts'
import { createLayers } from '../model/layers-cpu.ts'
import type { Layers } from '../model/layers.ts'
import { downloadShard } from '../store/download.ts'
import { loadShard } from '../store/load-shard.ts'
import type { Shelf } from '../store/piece-writer.ts'
import type { ShardReader } from '../store/shard-reader.ts'
import type { OpenModel } from './open-model.ts'
import { createReadAhead, type ReadAhead, type ReadAheadStats } from './read-ahead.ts'

export type Holding = {
  /** In running order. */
  layers: readonly number[]
  head: boolean
}

type LayerUnit = { layer: number; byteLength: number }

export type HolderOptions = {
  model: OpenModel
  backend: Backend
  shelf: Shelf
  reader: ShardReader
  /** False reads a streamed layer when it runs and no sooner. */
  readsAhead?: boolean
  /** K and V of one position in one layer, and how many positions are planned for. */
  kvBytesPerPosition: number
  contextLength: number
}

export interface WeightsHolder {
  readonly model: OpenModel
  readonly layers: Layers
  readonly head: CpuHead | null
  /**
   * Holds exactly this from now on, within a budget.
   *
   * @param onprogress bytes of shards at hand, of all that `holding` needs
   * @throws EngineError of the store and the source; 'out-of-memory' when not even two layers fit at once; 'aborted'.
   *   What was loaded stays.
   */
  hold(
    holding: Holding,
    budgetBytes: number,
    onprogress: (loadedBytes: number, totalBytes: number) => void,
    signal: AbortSignal,
  ): Promise<void>
  /** What streams, and how well; null while nothing does. */
  streaming(): (ReadAheadStats & { layers: number; layerBytes: number }) | null
  free(): Promise<void>
}

export function createWeightsHolder(options: HolderOptions): WeightsHolder {
  const { model, backend, shelf, reader, readsAhead = true, kvBytesPerPosition, contextLength } = options
  const { config, shards, key, source } = model
  const otherBytes = backend.memoryBytes()
  const layers = createLayers(backend, config)
  const scratchBytes = backend.memoryBytes() - otherBytes
  let head: CpuHead | null = null
  /** Running and changing what is held take turns, so that a layer that runs is not taken away. */
  let turn: Promise<unknown> = Promise.resolve()
  let ahead: { readAhead: ReadAhead; slots: Region[]; streamed: readonly number[] } | null = null

  const shardOf = (layer: number): Shard => shards.layers[layer]!
  const nameOf = (shard: Shard) => ({ model: key, file: shard.file })

  /** Fetches a shard, and reads it into a region of its own when it is to stay. */
  async function bring(
    shard: Shard,
    stays: boolean,
    onprogress: (packedBytes: number) => void,
    signal: AbortSignal,
  ): Promise<Region | null> {
    const download = {
      ...shelf,
      source,
      name: nameOf(shard),
      parts: shardParts(shard, backend.packing),
      byteLength: shard.byteLength,
      onprogress: ({ packedBytes }: { packedBytes: number }) => onprogress(packedBytes),
      signal,
    }
    if (!stays) {
      await downloadShard(download)
      return null
    }
    let region: Region | null = null
    const into = () => (region ??= backend.region(shard.byteLength)).bytes()
    try {
      await loadShard({ ...download, into })
      return region
    } catch (thrown) {
      ;(region as Region | null)?.free()
      throw thrown
    }
  }

  function residencyOf(holding: Holding, budgetBytes: number): Residency<LayerUnit> {
    const kvBytes = holding.layers.length * kvBytesPerPosition * contextLength
    const headBytes = holding.head ? shards.head.byteLength : 0
    const forLayers = budgetBytes - kvBytes - headBytes - scratchBytes
    const units = holding.layers.map((layer) => ({ layer, byteLength: shardOf(layer).byteLength }))
    const residency = chooseResidency(units, forLayers)
    if (residency) return residency
    const neededBytes = budgetBytes - forLayers + leastResidentBytes(units)
    throw new EngineError(
      'out-of-memory',
      `Its part of the model needs at least ${inMegabytes(neededBytes)} here, and this device offers ${inMegabytes(budgetBytes)}. Offer more memory in the settings, or let other devices join.`,
    )
  }

  async function stopStreaming(): Promise<void> {
    if (!ahead) return
    const { readAhead, slots, streamed } = ahead
    ahead = null
    for (const layer of streamed) layers.unload(layer)
    await readAhead.close()
    for (const slot of slots) slot.free()
  }

  function startStreaming({ streamed: units, slots: count, slotBytes }: Residency<LayerUnit>): void {
    if (units.length === 0) return
    const streamed = units.map(({ layer }) => layer)
    const slots = Array.from({ length: count }, () => backend.region(slotBytes))
    const readAhead = createReadAhead({
      order: streamed,
      slots,
      ahead: readsAhead,
      read(layer, slot, signal) {
        const shard = shardOf(layer)
        return reader.read(nameOf(shard), () => slot.bytes().subarray(0, shard.byteLength), signal)
      },
    })
    ahead = { readAhead, slots, streamed }
    for (const layer of streamed) layers.stream(layer, shardOf(layer), readAhead)
  }

  function inTurn<T>(act: () => Promise<T>): Promise<T> {
    const result = turn.then(act)
    turn = result.catch(() => {})
    return result
  }

  const hold: WeightsHolder['hold'] = async (holding, budgetBytes, onprogress, signal) => {
    const residency = residencyOf(holding, budgetBytes)
    const pinned = new Set(residency.pinned.map(({ layer }) => layer))
    await stopStreaming()
    for (const layer of layers.loaded()) if (!pinned.has(layer)) layers.unload(layer)
    if (head && !holding.head) {
      head.free()
      head = null
    }
    const loaded = new Set(layers.loaded())
    const wanted = [...holding.layers.map(shardOf), ...(holding.head ? [shards.head] : [])]
    const totalBytes = bytesOf(wanted)
    let atHand = bytesOf([...loaded].map(shardOf)) + (head ? shards.head.byteLength : 0)
    const step = async (shard: Shard, stays: boolean): Promise<Region | null> => {
      const region = await bring(shard, stays, (packed) => onprogress(atHand + packed, totalBytes), signal)
      atHand += shard.byteLength
      onprogress(atHand, totalBytes)
      return region
    }
    onprogress(atHand, totalBytes)
    for (const layer of holding.layers) {
      if (loaded.has(layer)) continue
      const region = await step(shardOf(layer), pinned.has(layer))
      if (region) layers.load(layer, shardOf(layer), region)
    }
    if (holding.head && !head)
      head = createHead(backend, config, shards.head, (await step(shards.head, true))!)
    startStreaming(residency)
  }

  return {
    model,
    layers: { ...layers, run: (a, count) => inTurn(() => layers.run(a, count)) },
    get head() {
      return head
    },
    hold: (...what) => inTurn(() => hold(...what)),
    streaming() {
      if (!ahead) return null
      const layerBytes = bytesOf(ahead.streamed.map(shardOf))
      return { ...ahead.readAhead.stats(), layers: ahead.streamed.length, layerBytes }
    },
    free: () =>
      inTurn(async () => {
        await stopStreaming()
        head?.free()
        layers.free()
      }),
  }
}

const bytesOf = (shards: readonly Shard[]) => shards.reduce((total, { byteLength }) => total + byteLength, 0)
const inMegabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`
