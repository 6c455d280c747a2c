/**
 * K and V of a session in one layer: pages of 64 positions, and a table of their addresses, all in one arena. A cache
 * that outgrows its arena moves to another one.
 *
 * @module
 */
import type { KvCache } from './backend.ts'
import { outOfMemory, type Arena } from './wasm-arena.ts'
import type { Arenas, Place } from './wasm-arenas.ts'

/** Positions of a page, the width that heads are padded to, and their bytes: f16, K and V (kernels/attention.ts). */
const pagePositions = 64
const headBytes = (headDim: number) => pagePositions * 2 * 2 * Math.ceil(headDim / 8) * 8

/** Entries of a table for so many pages. */
const tableLengthFor = (pages: number) => Math.max(64, 2 ** Math.ceil(Math.log2(pages)))

/** Addresses in one arena. */
type Held = { arena: Arena; table: number; tableLength: number; pages: number[] }

/** @param place told where the table of pages lies, now and whenever it moves */
export function createKvCache(
  arenas: Arenas,
  kvHeads: number,
  headDim: number,
  place: (cache: KvCache, table: Place) => void,
): KvCache {
  const pageBytes = kvHeads * headBytes(headDim)
  const nothing: Held = { arena: arenas.first, table: 0, tableLength: 0, pages: [] }
  let held = nothing

  /** What is held, grown to `length` pages, in any arena that has room for them. */
  function grown(length: number): Held {
    const more = (length - held.pages.length) * pageBytes
    if (arenas.used() + more <= arenas.maxBytes) {
      const here = held === nothing ? null : extended(held, length)
      if (here) return here
      for (const arena of arenas.candidates(length * pageBytes)) {
        const there = extended({ ...nothing, arena }, length)
        if (there) return there
      }
    }
    return outOfMemory(more, arenas)
  }

  /** @returns null, and nothing changed, when its arena has no room */
  function extended({ arena, table, tableLength, pages }: Held, length: number): Held | null {
    const missing = length - pages.length
    // tells at once, instead of after filling memory with pages
    if (missing * pageBytes > arena.maxBytes - arena.used()) return null
    const wider = length > tableLength ? tableLengthFor(length) : 0
    const added: number[] = []
    for (const byteLength of [...(wider ? [wider * 4] : []), ...Array<number>(missing).fill(pageBytes)]) {
      const address = arena.tryAllocate(byteLength)
      if (address === null) {
        for (const taken of added) arena.free(taken)
        return null
      }
      added.push(address)
    }
    const next = {
      arena,
      table: wider ? added.shift()! : table,
      tableLength: wider || tableLength,
      pages: [...pages, ...added],
    }
    arena.words(next.table, length).set(next.pages)
    return next
  }

  function release({ arena, table, pages }: Held): void {
    for (const address of pages) arena.free(address)
    if (table) arena.free(table)
  }

  function settle(next: Held): void {
    const last = held
    held = next
    place(cache, { arena: next.arena, address: next.table })
    if (last.arena === next.arena && next !== nothing) {
      if (last.table && last.table !== next.table) last.arena.free(last.table)
      return
    }
    for (const [i, from] of last.pages.entries()) {
      const to = next.pages[i]
      if (to !== undefined) next.arena.bytes(to, pageBytes).set(last.arena.bytes(from, pageBytes))
    }
    release(last)
  }

  const cache: KvCache = {
    kvHeads,
    headDim,
    get capacity() {
      return held.pages.length * pagePositions
    },
    get byteLength() {
      return held.pages.length * pageBytes + held.tableLength * 4
    },
    bytesFor(positions) {
      const pages = Math.ceil(positions / pagePositions)
      return pages === 0 ? 0 : pages * pageBytes + tableLengthFor(pages) * 4
    },
    reserve(positions) {
      const length = Math.ceil(positions / pagePositions)
      if (length > held.pages.length) settle(grown(length))
    },
    free: () => settle(nothing),
  }
  settle(nothing)
  return cache
}
