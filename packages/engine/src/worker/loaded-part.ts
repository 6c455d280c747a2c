/**
 * What of a model lies in memory: pinned units, the head's own matrices, and slots through which the rest streams. Told
 * what to hold, it fetches and loads what is new and keeps what stays; how much that may be is decided elsewhere
 * (`weights-holder.ts`).
 *
 * @module
 */
import { sumBytes, type Residency } from '@hearth/halda'
import type { Backend, Region } from '../backend/backend.ts'
import { EngineError } from '../errors.ts'
import type { Gpu } from '../gpu/gpu.ts'
import { outputPieces, tensorOf } from '../gguf/output-pieces.ts'
import { createHead, headScratchBytes, type CpuHead } from '../model/head-cpu.ts'
import { createLayers, type CpuLayers } from '../model/layers-cpu.ts'
import { createGpuLayers, type GpuLayers } from '../model/layers-gpu.ts'
import { createMixedLayers } from '../model/layers-mixed.ts'
import type { Layers } from '../model/layers.ts'
import type { Shelf } from '../store/piece-writer.ts'
import type { ShardReader } from '../store/shard-reader.ts'
import type { ReadHandle } from '../store/shard-store.ts'
import type { Need } from './device-residency.ts'
import type { OpenModel } from './open-model.ts'
import { createShardFetcher, type Fetching } from './shard-fetcher.ts'
import { createUnitStream, type UnitStream } from './unit-stream.ts'
import { allUnits, unitsOf, type Holding, type Unit } from './units.ts'

export type PartOptions = {
  model: OpenModel
  backend: Backend
  shelf: Shelf
  reader: ShardReader
  /** False reads a streamed layer when it runs and no sooner. */
  readsAhead?: boolean
  /** For layers that a plan puts on the GPU. */
  gpu?: GpuSource
}

export type GpuSource = {
  /** Resolves to null where there is none, or none that may be used. */
  open(): Promise<Gpu | null>
  /** What layers may fill of its memory. */
  budgetBytes(): number
}

/** Bytes of shards at hand, of all that a holding needs. */
export type OnProgress = (loadedBytes: number, totalBytes: number) => void

export interface LoadedPart {
  /** Wherever they run. */
  readonly layers: Layers
  /** Of them, those on the processor. */
  readonly onProcessor: CpuLayers
  /** Those on the GPU; null before there was one. */
  onGpu(): GpuLayers | null
  /** Null until a holding has one. */
  head(): CpuHead | null
  readonly stream: Pick<UnitStream, 'stats' | 'readMs'>
  /** What a holding takes beside `kvBytes` of KV cache, all of it in memory. */
  needOf(holding: Holding, kvBytes: number): Need
  /** Held outside the backend: hidden states. */
  bufferBytes(): number
  /**
   * Holds exactly this from now on.
   *
   * @throws EngineError of the store and the source; 'out-of-memory'; 'aborted'. What was loaded stays.
   */
  settle(
    holding: Holding,
    residency: Residency<Unit>,
    onprogress: OnProgress,
    signal: AbortSignal,
  ): Promise<void>
  free(): Promise<void>
}

export function createLoadedPart(options: PartOptions): LoadedPart {
  const { model, backend, shelf, reader, readsAhead = true } = options
  const { config, shards, key } = model
  const { nLayers } = config
  const embedding = tensorOf(shards.head, 'token_embd.weight')
  const norm = tensorOf(shards.head, 'output_norm.weight')
  const largestLayer = Math.max(...shards.layers.map(({ byteLength }) => byteLength))
  const pieces = outputPieces(shards.head, backend.packing, largestLayer)
  const units = allUnits(shards, pieces)
  const fetcher = createShardFetcher(model, backend, shelf)
  const stream = createUnitStream({ backend, key, reader, readsAhead })
  // What else the backend holds may be gone in a moment: a device that measures itself holds large matrices.
  const otherBytes = backend.memoryBytes()
  const layers = createLayers(backend, config)
  let onGpu: (GpuLayers & { gpu: Gpu }) | null = null
  const layerScratchBytes = backend.memoryBytes() - otherBytes
  let head: CpuHead | null = null
  /** The head's file, for rows of an embedding that is not held. */
  let rows: ReadHandle | null = null

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

  // ── the GPU ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async function gpuLayers(): Promise<GpuLayers> {
    const gpu = await options.gpu?.open()
    if (!gpu)
      throw new EngineError(
        'not-ready',
        'The plan puts layers on the GPU of this device, which cannot be used. Wait for the next plan, or reload the page.',
      )
    const budgetBytes = options.gpu!.budgetBytes()
    if (onGpu?.gpu !== gpu) {
      await onGpu?.free()
      onGpu = { ...createGpuLayers({ gpu, backend, config, budgetBytes }), gpu }
    }
    onGpu.setBudget(budgetBytes)
    return onGpu
  }

  /** A layer passes through the backend's memory on its way, whole: before the others come, since it may be large. */
  async function loadOnGpu(layer: number, fetching: Fetching): Promise<void> {
    const held = await gpuLayers()
    if (held.loaded().includes(layer)) return
    const shard = shards.layers[layer]!
    const region = await fetcher.bring(shard, { offset: 0, byteLength: shard.byteLength }, fetching)
    try {
      await held.load(layer, shard, region)
    } finally {
      region.free()
    }
  }

  // ── the head ────────────────────────────────────────────────────────────────────────────────────────────────────

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

  // ── all of it ───────────────────────────────────────────────────────────────────────────────────────────────────

  async function letGoOf(holding: Holding, { pinned, holdsEmbedding }: Residency<Unit>): Promise<void> {
    for (const layer of onGpu?.loaded() ?? []) if (!holding.gpuLayers.includes(layer)) onGpu!.unload(layer)
    if (holding.gpuLayers.length === 0) {
      await onGpu?.free()
      onGpu = null
    }
    const stays = new Set(pinned.map(({ unit }) => unit))
    for (const unit of loadedUnits()) if (!stays.has(unit)) unload(unit)
    rows?.close()
    rows = null
    if (head && !holdsEmbedding) head.unloadEmbedding()
    if (!head || holding.head) return
    head.free()
    head = null
  }

  return {
    layers: createMixedLayers(layers, () => onGpu),
    onProcessor: layers,
    onGpu: () => onGpu,
    head: () => head,
    stream,
    bufferBytes: () => layers.bufferBytes(),

    needOf(holding, kvBytes) {
      const headBytes = head?.scratchBytes() ?? headScratchBytes(backend, config, shards.head, pieces)
      return {
        units: unitsOf(units, nLayers, holding),
        embeddingBytes: holding.head && !config.tiedOutput ? embedding.byteLength : 0,
        scratchBytes: layerScratchBytes + layers.bufferBytes() + (holding.head ? headBytes : 0),
        kvBytes,
      }
    },

    async settle(holding, residency, onprogress, signal) {
      await stopStreaming()
      await letGoOf(holding, residency)
      const loaded = new Set(loadedUnits())
      const shardsOf = (numbers: readonly number[]) => numbers.map((layer) => shards.layers[layer]!)
      const wanted = [...shardsOf(holding.gpuLayers), ...shardsOf(holding.layers)]
      if (holding.head) wanted.push(shards.head)
      const totalBytes = sumBytes(wanted)
      let atHand = 0
      onprogress(atHand, totalBytes)
      for (const shard of wanted) {
        const fetching = {
          onprogress: (packedBytes: number) => onprogress(atHand + packedBytes, totalBytes),
          signal,
        }
        const gpuLayer = holding.gpuLayers.find((layer) => shards.layers[layer] === shard)
        if (gpuLayer !== undefined) {
          await loadOnGpu(gpuLayer, fetching)
          atHand += shard.byteLength
          continue
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
    },

    async free() {
      await stopStreaming()
      rows?.close()
      head?.free()
      layers.free()
      await onGpu?.free()
    },
  }
}

/** @throws EngineError */
export function notHead(): never {
  throw new EngineError('not-ready', 'This device does not hold the head of the model yet.')
}
