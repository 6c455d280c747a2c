/**
 * The part of a model that this device holds: fetched, checked, loaded as far as its memory allows; the rest streams
 * from the store. What the next plan shares with this one stays.
 *
 * @module
 */
import { chooseResidency, leastResidentBytes, type Residency } from '@hearth/halda'
import type { Backend, Region } from '../backend/backend.ts'
import { EngineError } from '../errors.ts'
import { outputPieces, tensorOf } from '../gguf/output-pieces.ts'
import { shardParts } from '../gguf/shard-parts.ts'
import type { Shard } from '../gguf/shards.ts'
import { createHead, headScratchBytes, type CpuHead } from '../model/head-cpu.ts'
import { createLayers } from '../model/layers-cpu.ts'
import type { Head, Layers } from '../model/layers.ts'
import { downloadShard } from '../store/download.ts'
import { loadShard } from '../store/load-shard.ts'
import type { Shelf } from '../store/piece-writer.ts'
import type { ShardReader } from '../store/shard-reader.ts'
import type { ReadHandle } from '../store/shard-store.ts'
import type { OpenModel } from './open-model.ts'
import { createReadAhead, type ReadAhead, type ReadAheadStats } from './read-ahead.ts'
import { allUnits, sumBytes, unitsOf, type Holding, type Unit } from './units.ts'

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
  /** Null where this device is not the head. */
  readonly head: Head | null
  /**
   * Holds exactly this from now on, within a budget.
   *
   * @param onprogress bytes of shards at hand, of all that `holding` needs
   * @throws EngineError of the store and the source; 'out-of-memory' when not even two units fit at once; 'aborted'.
   *   What was loaded stays.
   */
  hold(
    holding: Holding,
    budgetBytes: number,
    onprogress: (loadedBytes: number, totalBytes: number) => void,
    signal: AbortSignal,
  ): Promise<void>
  /** What streams, and how well; null while nothing does. Pieces of the output count as layers. */
  streaming(): (ReadAheadStats & { layers: number; layerBytes: number }) | null
  free(): Promise<void>
}

export function createWeightsHolder(options: HolderOptions): WeightsHolder {
  const { model, backend, shelf, reader, readsAhead = true, kvBytesPerPosition, contextLength } = options
  const { config, shards, key, source } = model
  const { nLayers } = config
  const embedding = tensorOf(shards.head, 'token_embd.weight')
  const norm = tensorOf(shards.head, 'output_norm.weight')
  const largestLayer = Math.max(...shards.layers.map(({ byteLength }) => byteLength))
  const pieces = outputPieces(shards.head, backend.packing, largestLayer)
  const units = allUnits(shards, pieces)
  const otherBytes = backend.memoryBytes()
  const layers = createLayers(backend, config)
  const scratchBytes = backend.memoryBytes() - otherBytes
  let head: CpuHead | null = null
  /** The head's file, for rows of an embedding that is not held. */
  let rows: ReadHandle | null = null
  /** Running and changing what is held take turns, so that a unit that runs is not taken away. */
  let turn: Promise<unknown> = Promise.resolve()
  let ahead: { readAhead: ReadAhead; slots: Region[]; streamed: readonly Unit[] } | null = null

  const nameOf = (shard: Shard) => ({ model: key, file: shard.file })

  // ── what is held ────────────────────────────────────────────────────────────────────────────────────────────────

  const loadedUnits = (): number[] => [
    ...layers.loaded(),
    ...(head?.loaded().map((piece) => nLayers + piece) ?? []),
  ]

  function load({ unit, shard }: Unit, region: Region): void {
    if (unit < nLayers) layers.load(unit, shard, region)
    else head!.load(unit - nLayers, region)
  }

  function unload(unit: number): void {
    if (unit < nLayers) layers.unload(unit)
    else head?.unload(unit - nLayers)
  }

  function residencyOf(holding: Holding, budgetBytes: number): Residency<Unit> {
    const mine = unitsOf(units, nLayers, holding)
    const kvBytes = holding.layers.length * kvBytesPerPosition * contextLength
    const headBytes = holding.head ? headScratchBytes(backend, config, shards.head, pieces) : 0
    const otherwiseBytes = kvBytes + headBytes + scratchBytes
    const embeddingBytes = holding.head && !config.tiedOutput ? embedding.byteLength : 0
    const residency = chooseResidency(mine, budgetBytes - otherwiseBytes, embeddingBytes)
    if (residency) return residency
    const neededBytes = otherwiseBytes + leastResidentBytes(mine)
    throw new EngineError(
      'out-of-memory',
      `Its part of the model needs at least ${inMegabytes(neededBytes)} here, and this device offers ${inMegabytes(budgetBytes)}. Offer more memory in the settings, or let other devices join.`,
    )
  }

  // ── streaming ───────────────────────────────────────────────────────────────────────────────────────────────────

  async function stopStreaming(): Promise<void> {
    if (!ahead) return
    const { readAhead, slots, streamed } = ahead
    ahead = null
    for (const { unit } of streamed) unload(unit)
    await readAhead.close()
    reader.close()
    for (const slot of slots) slot.free()
  }

  function startStreaming({ streamed, slots: count, slotBytes }: Residency<Unit>): void {
    if (streamed.length === 0) return
    const slots = Array.from({ length: count }, () => backend.region(slotBytes))
    const readAhead = createReadAhead({
      order: streamed.map(({ unit }) => unit),
      slots,
      ahead: readsAhead,
      read(unit, slot, signal) {
        const { shard, offset, byteLength } = units[unit]!
        return reader.read({ ...nameOf(shard), offset }, () => slot.bytes().subarray(0, byteLength), signal)
      },
    })
    ahead = { readAhead, slots, streamed }
    for (const { unit, shard } of streamed) {
      if (unit < nLayers) layers.stream(unit, shard, readAhead)
      else
        head!.stream(unit - nLayers, {
          acquire: (piece) => readAhead.acquire(nLayers + piece),
          release: (piece) => readAhead.release(nLayers + piece),
        })
    }
  }

  // ── changing what is held ───────────────────────────────────────────────────────────────────────────────────────

  type Fetching = { onprogress?: (packedBytes: number) => void; signal: AbortSignal }

  const downloadOf = (shard: Shard, { onprogress, signal }: Fetching) => ({
    ...shelf,
    source,
    name: nameOf(shard),
    parts: shardParts(shard, backend.packing),
    byteLength: shard.byteLength,
    onprogress: ({ packedBytes }: { packedBytes: number }) => onprogress?.(packedBytes),
    signal,
  })

  /** Fetches a shard where it is missing, and reads a part of it into a region of its own. */
  async function bring(
    shard: Shard,
    { offset, byteLength }: { offset: number; byteLength: number },
    fetching: Fetching,
  ): Promise<Region> {
    let region: Region | null = null
    const into = () => (region ??= backend.region(byteLength)).bytes()
    try {
      await loadShard({ ...downloadOf(shard, fetching), range: { offset, byteLength }, into })
      return region!
    } catch (thrown) {
      ;(region as Region | null)?.free()
      throw thrown
    }
  }

  function letGoOf(holding: Holding, { pinned, holdsEmbedding }: Residency<Unit>): void {
    const stays = new Set(pinned.map(({ unit }) => unit))
    for (const unit of loadedUnits()) if (!stays.has(unit)) unload(unit)
    rows?.close()
    rows = null
    if (head && !holdsEmbedding) head.unloadEmbedding()
    if (!head || holding.head) return
    head.free()
    head = null
  }

  /** What the head has besides the pieces of its output, which are units. */
  async function bringHead({ streamed, holdsEmbedding }: Residency<Unit>, fetching: Fetching): Promise<void> {
    head ??= await newHead(fetching)
    if (holdsEmbedding && !config.tiedOutput && !head.holdsEmbedding())
      head.loadEmbedding(await bring(shards.head, embedding, fetching))
    const holdsRows = config.tiedOutput ? streamed.every(({ unit }) => unit < nLayers) : holdsEmbedding
    if (!holdsRows) rows = await shelf.store.openRead(nameOf(shards.head))
  }

  async function newHead(fetching: Fetching): Promise<CpuHead> {
    const region = await bring(shards.head, norm, fetching)
    try {
      return createHead({
        backend,
        config,
        shard: shards.head,
        pieces,
        norm: region,
        read: (offset, into) => (rows ?? notHead()).read(into, offset),
      })
    } catch (thrown) {
      region.free()
      throw thrown
    }
  }

  const hold: WeightsHolder['hold'] = async (holding, budgetBytes, onprogress, signal) => {
    const residency = residencyOf(holding, budgetBytes)
    await stopStreaming()
    letGoOf(holding, residency)
    const loaded = new Set(loadedUnits())
    const wanted = holding.layers.map((layer) => shards.layers[layer]!)
    if (holding.head) wanted.push(shards.head)
    const totalBytes = sumBytes(wanted)
    let atHand = 0
    onprogress(atHand, totalBytes)
    for (const shard of wanted) {
      const fetching = {
        onprogress: (packedBytes: number) => onprogress(atHand + packedBytes, totalBytes),
        signal,
      }
      const isLoaded =
        shard !== shards.head && units.some((unit) => unit.shard === shard && loaded.has(unit.unit))
      if (!isLoaded) await downloadShard(downloadOf(shard, fetching))
      if (shard === shards.head) await bringHead(residency, fetching)
      for (const unit of residency.pinned) {
        if (unit.shard !== shard || loaded.has(unit.unit)) continue
        load(unit, await bring(shard, unit, fetching))
      }
      atHand += shard.byteLength
    }
    onprogress(atHand, totalBytes)
    startStreaming(residency)
  }

  function inTurn<T>(act: () => Promise<T>): Promise<T> {
    const result = turn.then(act)
    turn = result.catch(() => {})
    return result
  }

  const headInTurn: Head = {
    embed: (tokens) => inTurn(() => (head ?? notHead()).embed(tokens)),
    logits: (hidden) => inTurn(() => (head ?? notHead()).logits(hidden)),
  }

  return {
    model,
    layers: { ...layers, run: (a, count) => inTurn(() => layers.run(a, count)) },
    get head() {
      return head && headInTurn
    },
    hold: (...what) => inTurn(() => hold(...what)),
    streaming() {
      if (!ahead) return null
      const layerBytes = sumBytes(ahead.streamed)
      return { ...ahead.readAhead.stats(), layers: ahead.streamed.length, layerBytes }
    },
    free: () =>
      inTurn(async () => {
        await stopStreaming()
        rows?.close()
        head?.free()
        layers.free()
      }),
  }
}

function notHead(): never {
  throw new EngineError('not-ready', 'This device does not hold the head of the model yet.')
}

const inMegabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`
