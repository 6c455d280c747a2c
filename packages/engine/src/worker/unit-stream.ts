/**
 * The units that stream on this device: their slots in memory, and who reads into them.
 *
 * @module
 */
import { sumBytes, type Residency } from '@hearth/halda'
import type { Backend, Region } from '../backend/backend.ts'
import type { WeightStream } from '../model/weight-stream.ts'
import { createMeasuredReader } from '../store/measured-reader.ts'
import type { ShardReader } from '../store/shard-reader.ts'
import { createReadAhead, type ReadAhead, type ReadAheadStats } from './read-ahead.ts'
import type { Unit } from './units.ts'

export type UnitStreamOptions = {
  backend: Backend
  /** Of the model's files in the store. */
  key: string
  reader: ShardReader
  /** False reads a unit when it runs and no sooner. */
  readsAhead: boolean
}

export interface UnitStream {
  /**
   * Reads from now on what streams, in running order.
   *
   * @throws EngineError 'out-of-memory' when there is no room for the slots; then nothing streams
   */
  start(residency: Residency<Unit>): WeightStream
  /** Resolves when nothing is read or in use any more and the slots are free. */
  stop(): Promise<void>
  /** What streams; empty while nothing does. */
  streamed(): readonly Unit[]
  /** How long one pass over the given layers reads, as fast as was read so far; 0 when none of them streams. */
  readMs(layers: readonly number[]): number
  /** Null while nothing streams. Pieces of the output count as layers. */
  stats(): (ReadAheadStats & { layers: number; layerBytes: number }) | null
}

export function createUnitStream({ backend, key, readsAhead, ...options }: UnitStreamOptions): UnitStream {
  const reader = createMeasuredReader(options.reader)
  let running: { readAhead: ReadAhead; slots: Region[]; streamed: readonly Unit[] } | null = null

  function slotsOf({ slots, slotBytes }: Residency<Unit>): Region[] {
    const regions: Region[] = []
    try {
      while (regions.length < slots) regions.push(backend.region(slotBytes))
      return regions
    } catch (thrown) {
      for (const region of regions) region.free()
      throw thrown
    }
  }

  return {
    start(residency) {
      const { streamed } = residency
      const slots = slotsOf(residency)
      const byNumber = new Map(streamed.map((unit) => [unit.unit, unit]))
      const readAhead = createReadAhead({
        order: [...byNumber.keys()],
        slots,
        ahead: readsAhead,
        read(unit, slot, signal) {
          const { shard, offset, byteLength } = byNumber.get(unit)!
          const from = { model: key, file: shard.file, offset }
          return reader.read(from, () => slot.bytes().subarray(0, byteLength), signal)
        },
      })
      running = { readAhead, slots, streamed }
      return readAhead
    },
    async stop() {
      if (!running) return
      const { readAhead, slots } = running
      running = null
      await readAhead.close()
      reader.close()
      for (const slot of slots) slot.free()
    },
    streamed: () => running?.streamed ?? [],
    readMs(layers) {
      const { readBytes, readingMs } = reader.stats()
      const mine = running?.streamed.filter(({ unit }) => layers.includes(unit)) ?? []
      return mine.length === 0 ? 0 : (sumBytes(mine) * readingMs) / readBytes
    },
    stats() {
      if (!running) return null
      const { readAhead, streamed } = running
      return { ...readAhead.stats(), layers: streamed.length, layerBytes: sumBytes(streamed) }
    },
  }
}
