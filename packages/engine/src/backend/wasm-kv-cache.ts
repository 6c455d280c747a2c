/**
 * K and V of a session in one layer: pages of 64 positions in an arena, and a table of their addresses.
 *
 * @module
 */
import type { KvCache } from './backend.ts'
import { outOfMemory, type Arena } from './wasm-arena.ts'

/** Positions of a page, the width that heads are padded to, and their bytes: f16, K and V (kernels/attention.ts). */
const pagePositions = 64
const headBytes = (headDim: number) => pagePositions * 2 * 2 * Math.ceil(headDim / 8) * 8

/** @param place told where the table of pages lies, now and whenever it moves */
export function createKvCache(
  arena: Arena,
  kvHeads: number,
  headDim: number,
  place: (cache: KvCache, table: number) => void,
): KvCache {
  const pageBytes = kvHeads * headBytes(headDim)
  let pages: number[] = []
  let table = 0
  let tableLength = 0

  /** A table with room for `length` addresses, in place of the one that was. */
  function widen(length: number): void {
    if (length <= tableLength) return
    const wider = Math.max(64, 2 ** Math.ceil(Math.log2(length)))
    const address = arena.allocate(wider * 4)
    if (table) arena.free(table)
    table = address
    tableLength = wider
    arena.words(table, pages.length).set(pages)
    place(cache, table)
  }

  const cache: KvCache = {
    kvHeads,
    headDim,
    get capacity() {
      return pages.length * pagePositions
    },
    get byteLength() {
      return pages.length * pageBytes + tableLength * 4
    },
    reserve(positions) {
      const missing = Math.ceil(positions / pagePositions) - pages.length
      if (missing <= 0) return
      // tells at once, instead of after filling memory with pages
      if (missing * pageBytes > arena.maxBytes - arena.used()) {
        throw outOfMemory(missing * pageBytes, arena.used(), arena.maxBytes)
      }
      const added: number[] = []
      try {
        widen(pages.length + missing)
        while (added.length < missing) added.push(arena.allocate(pageBytes))
      } catch (thrown) {
        for (const page of added) arena.free(page)
        throw thrown
      }
      arena.words(table + pages.length * 4, missing).set(added)
      pages.push(...added)
    },
    free() {
      for (const page of pages) arena.free(page)
      if (table) arena.free(table)
      pages = []
      table = 0
      tableLength = 0
      place(cache, 0)
    },
  }
  place(cache, 0)
  return cache
}
