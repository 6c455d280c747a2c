/**
 * The part of a model that this device holds: fetched, checked, loaded as far as its memory allows; the rest streams
 * from the store. What the next plan shares with this one stays.
 *
 * Memory may turn out shorter than the budget: a conversation grows beyond what was planned for, or the machine refuses
 * an allocation. Then units that are pinned are given back, and the step that failed runs again.
 *
 * @module
 */
import { sumBytes, type Residency } from '@hearth/halda'
import type { Backend, Region } from '../backend/backend.ts'
import { EngineError } from '../errors.ts'
import { outputPieces, tensorOf } from '../gguf/output-pieces.ts'
import { createHead, headScratchBytes, type CpuHead } from '../model/head-cpu.ts'
import { createLayers } from '../model/layers-cpu.ts'
import type { Head, Layers } from '../model/layers.ts'
import type { Shelf } from '../store/piece-writer.ts'
import type { ShardReader } from '../store/shard-reader.ts'
import type { ReadHandle } from '../store/shard-store.ts'
import { givenBack, residencyOf, residentBytes, type Need } from './device-residency.ts'
import type { OpenModel } from './open-model.ts'
import { createPromptChunk } from './prompt-chunk.ts'
import { createShardFetcher, type Fetching } from './shard-fetcher.ts'
import { createUnitStream, type UnitStream } from './unit-stream.ts'
import { allUnits, unitsOf, type Holding, type Unit } from './units.ts'

export type HolderOptions = {
  model: OpenModel
  backend: Backend
  shelf: Shelf
  reader: ShardReader
  /** False reads a streamed layer when it runs and no sooner. */
  readsAhead?: boolean
  /** Positions of one conversation that are planned for. */
  contextLength: number
}

export interface WeightsHolder {
  readonly model: OpenModel
  readonly layers: Layers
  /** Null where this device is not the head. */
  readonly head: Head | null
  /**
   * Holds exactly this from now on, within a budget; with less pinned where the machine gives less than that.
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
  /** Drops every KV cache, once nothing runs. */
  forgetSessions(): Promise<void>
  /** What streams, and how well. */
  streaming: UnitStream['stats']
  /** Held outside the backend: hidden states and logits. */
  bufferBytes(): number
  free(): Promise<void>
}

/** What is held, and why. */
type Held = { holding: Holding; budgetBytes: number; need: Need; residency: Residency<Unit> }

type OnProgress = Parameters<WeightsHolder['hold']>[2]

export function createWeightsHolder(options: HolderOptions): WeightsHolder {
  const { model, backend, shelf, reader, readsAhead = true, contextLength } = options
  const { config, shards, key } = model
  const { nLayers } = config
  const embedding = tensorOf(shards.head, 'token_embd.weight')
  const norm = tensorOf(shards.head, 'output_norm.weight')
  const largestLayer = Math.max(...shards.layers.map(({ byteLength }) => byteLength))
  const pieces = outputPieces(shards.head, backend.packing, largestLayer)
  const units = allUnits(shards, pieces)
  const fetcher = createShardFetcher(model, backend, shelf)
  const promptChunk = createPromptChunk()
  const stream = createUnitStream({ backend, key, reader, readsAhead })
  // What else the backend holds may be gone in a moment: a device that measures itself holds large matrices.
  const otherBytes = backend.memoryBytes()
  const layers = createLayers(backend, config)
  const layerScratchBytes = backend.memoryBytes() - otherBytes
  let head: CpuHead | null = null
  /** The head's file, for rows of an embedding that is not held. */
  let rows: ReadHandle | null = null
  let held: Held | null = null
  /** Running and changing what is held take turns, so that a unit that runs is not taken away. */
  let turn: Promise<unknown> = Promise.resolve()

  // ── units ───────────────────────────────────────────────────────────────────────────────────────────────────────

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

  async function stopStreaming(): Promise<void> {
    for (const { unit } of stream.streamed()) unload(unit)
    await stream.stop()
  }

  function startStreaming(residency: Residency<Unit>): void {
    if (residency.streamed.length === 0) return
    const weights = stream.start(residency)
    const ofHead = {
      acquire: (piece: number) => weights.acquire(nLayers + piece),
      release: (piece: number) => weights.release(nLayers + piece),
    }
    for (const { unit, shard } of residency.streamed) {
      if (unit < nLayers) layers.stream(unit, shard, weights)
      else head!.stream(unit - nLayers, ofHead)
    }
  }

  // ── changing what is held ───────────────────────────────────────────────────────────────────────────────────────

  function needOf(holding: Holding, kvBytes: number): Need {
    const headBytes = holding.head ? headScratchBytes(backend, config, shards.head, pieces) : 0
    return {
      units: unitsOf(units, nLayers, holding),
      embeddingBytes: holding.head && !config.tiedOutput ? embedding.byteLength : 0,
      scratchBytes: layerScratchBytes + headBytes,
      kvBytes,
    }
  }

  const plannedKvBytes = (holding: Holding) => holding.layers.length * layers.kvBytesFor(contextLength)

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
      head.loadEmbedding(await fetcher.bring(shards.head, embedding, fetching))
    const holdsRows = config.tiedOutput ? streamed.every(({ unit }) => unit < nLayers) : holdsEmbedding
    if (!holdsRows) rows = await shelf.store.openRead({ model: key, file: shards.head.file })
  }

  async function newHead(fetching: Fetching): Promise<CpuHead> {
    const shard = shards.head
    const region = await fetcher.bring(shard, norm, fetching)
    const read = (offset: number, into: Uint8Array) => (rows ?? notHead()).read(into, offset)
    try {
      return createHead({ backend, config, shard, pieces, norm: region, read })
    } catch (thrown) {
      region.free()
      throw thrown
    }
  }

  async function settle(next: Held, onprogress: OnProgress, signal: AbortSignal): Promise<void> {
    const { holding, residency } = next
    held = null
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
      if (!isLoaded) await fetcher.fetch(shard, fetching)
      if (shard === shards.head) await bringHead(residency, fetching)
      for (const unit of residency.pinned) {
        if (unit.shard !== shard || loaded.has(unit.unit)) continue
        load(unit, await fetcher.bring(shard, unit, fetching))
      }
      atHand += shard.byteLength
    }
    onprogress(atHand, totalBytes)
    startStreaming(residency)
    held = next
  }

  /** As {@link settle}, with less pinned where the machine gives less memory than the budget allows. */
  async function settleOnLess(next: Held, onprogress: OnProgress, signal: AbortSignal): Promise<void> {
    for (let attempt = next; ;) {
      try {
        return await settle(attempt, onprogress, signal)
      } catch (thrown) {
        const less = isOutOfMemory(thrown) ? withHalfPinned(attempt, backend.memoryBytes()) : null
        if (!less) throw thrown
        attempt = less
      }
    }
  }

  const hold: WeightsHolder['hold'] = (holding, budgetBytes, onprogress, signal) => {
    const need = needOf(holding, Math.max(plannedKvBytes(holding), layers.kvBytes()))
    const residency = residencyOf(need, budgetBytes)
    return settleOnLess({ holding, budgetBytes, need, residency }, onprogress, signal)
  }

  // ── running ─────────────────────────────────────────────────────────────────────────────────────────────────────

  const resettle = (next: Held) => settleOnLess(next, () => {}, new AbortController().signal)

  /** More or longer conversations than were planned for take the place of pinned units. */
  async function makeRoomForKv(wantedBytes: number): Promise<void> {
    if (!held) return
    const { holding, budgetBytes, need, residency } = held
    if (wantedBytes <= need.kvBytes) return
    // Some more than this step needs, where there is any, so that not every page moves weights.
    for (const spareBytes of [plannedKvBytes(holding) / 8, 0]) {
      const more = { ...need, kvBytes: wantedBytes + spareBytes }
      const missingBytes = residentBytes(more, residency) - budgetBytes
      const next = { ...held, need: more }
      if (missingBytes <= 0) return void (held = next)
      const less = givenBack(more, residency, missingBytes)
      if (less) return resettle({ ...next, residency: less })
    }
    throw new EngineError(
      'out-of-memory',
      'The conversations of the room have no room left in the memory that this device offers. Offer more memory in the settings, or start a new chat.',
    )
  }

  async function runWithRoom(...[a, count]: Parameters<Layers['run']>): ReturnType<Layers['run']> {
    await makeRoomForKv(layers.kvBytesAfter(a, count))
    for (;;) {
      const startMs = performance.now()
      const waitedMs = () => stream.stats()?.waitedMs ?? 0
      const waitedBeforeMs = waitedMs()
      try {
        const out = await layers.run(a, count)
        promptChunk.noteRun(a.rows, count, performance.now() - startMs - (waitedMs() - waitedBeforeMs))
        return out
      } catch (thrown) {
        const less = isOutOfMemory(thrown) && held ? withHalfPinned(held, backend.memoryBytes()) : null
        if (!less) throw thrown
        await resettle(less)
      }
    }
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
    layers: {
      ...layers,
      run: (a, count) => inTurn(() => runWithRoom(a, count)),
      gatherRows() {
        const mine = held?.holding.layers ?? []
        return promptChunk.rowsToCover(stream.readMs(mine), mine.length)
      },
    },
    get head() {
      return head && headInTurn
    },
    hold: (...what) => inTurn(() => hold(...what)),
    forgetSessions: () => inTurn(async () => layers.release()),
    streaming: stream.stats,
    bufferBytes: () => layers.bufferBytes() + (head ? 4 * config.vocabSize : 0),
    free: () =>
      inTurn(async () => {
        await stopStreaming()
        rows?.close()
        head?.free()
        layers.free()
      }),
  }
}

/**
 * For a machine that gave no more than `usedBytes`, whatever the budget allows: that is the budget from now on.
 *
 * @returns null when nothing can be given back
 */
function withHalfPinned({ need, residency, ...rest }: Held, usedBytes: number): Held | null {
  const half =
    givenBack(need, residency, Math.max(1, sumBytes(residency.pinned) / 2)) ?? givenBack(need, residency, 1)
  if (!half) return null
  const budgetBytes = Math.min(rest.budgetBytes, Math.max(usedBytes, residentBytes(need, half)))
  return { ...rest, need, residency: half, budgetBytes }
}

/** Of the backend, or of an array outside of it. */
const isOutOfMemory = (thrown: unknown): boolean =>
  thrown instanceof RangeError || (thrown instanceof EngineError && thrown.code === 'out-of-memory')

function notHead(): never {
  throw new EngineError('not-ready', 'This device does not hold the head of the model yet.')
}
