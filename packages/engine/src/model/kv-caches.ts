/**
 * The KV caches of this device: one for each session and layer, with how many positions each holds.
 *
 * @module
 */
import type { KvCache } from '../backend/backend.ts'
import { EngineError } from '../errors.ts'

export interface KvCaches<Cache extends KvCache> {
  /**
   * The cache of a session in a layer, with room for positions up to position + rows.
   *
   * @throws EngineError 'kv-lost' when it holds fewer than `position` positions; 'out-of-memory' when it cannot grow.
   *   Either way it holds what it held.
   */
  open(session: number, layer: number, position: number, rows: number): Cache
  /** Says that these layers now hold exactly [0, positions). */
  commit(session: number, layers: readonly number[], positions: number): void
  /** Frees the caches of a session, or all of them. */
  release(session?: number): void
  bytes(): number
  /** What {@link KvCaches.bytes} would grow by with {@link KvCaches.open} for these positions in these layers. */
  growth(session: number, layers: readonly number[], positions: number): number
  /** What one session takes in one layer with so many positions. */
  bytesFor(positions: number): number
}

type Entry<Cache> = { cache: Cache; positions: number }

export function createKvCaches<Cache extends KvCache>(create: () => Cache): KvCaches<Cache> {
  const sessions = new Map<number, Map<number, Entry<Cache>>>()

  function entryOf(session: number, layer: number): Entry<Cache> {
    const entries = sessions.get(session) ?? new Map<number, Entry<Cache>>()
    sessions.set(session, entries)
    const entry = entries.get(layer) ?? { cache: create(), positions: 0 }
    entries.set(layer, entry)
    return entry
  }

  /** Holds nothing, and knows what it would take. */
  const blank = create()

  function bytes(): number {
    const entries = [...sessions.values()].flatMap((layers) => [...layers.values()])
    return entries.reduce((sum, { cache }) => sum + cache.byteLength, 0)
  }

  return {
    open(session, layer, position, rows) {
      const entry = entryOf(session, layer)
      if (entry.positions < position) {
        throw new EngineError(
          'kv-lost',
          `Layer ${layer} remembers ${entry.positions} of the ${position} tokens so far. The conversation has to be read again.`,
        )
      }
      entry.cache.reserve(position + rows)
      return entry.cache
    },
    commit(session, layers, positions) {
      for (const layer of layers) entryOf(session, layer).positions = positions
    },
    release(session) {
      for (const id of session === undefined ? sessions.keys() : [session]) {
        for (const { cache } of sessions.get(id)?.values() ?? []) cache.free()
        sessions.delete(id)
      }
    },
    bytes,
    growth(session, layers, positions) {
      const wanted = blank.bytesFor(positions)
      const heldIn = (layer: number) => sessions.get(session)?.get(layer)?.cache.byteLength ?? 0
      return layers.reduce((sum, layer) => sum + Math.max(0, wanted - heldIn(layer)), 0)
    },
    bytesFor: blank.bytesFor,
  }
}
