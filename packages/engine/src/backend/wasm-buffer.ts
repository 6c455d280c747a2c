/**
 * Scratch that outlives a call.
 *
 * @module
 */
import type { Arena } from './wasm-arena.ts'

/** Memory that is taken once, and again only when more is needed. What lay in it is lost then. */
export type Buffer = {
  /** @throws EngineError 'out-of-memory', holding what it held */
  at(byteLength: number): number
}

export function createBuffer(arena: Arena): Buffer {
  let address = 0
  let held = 0
  return {
    at(byteLength) {
      if (byteLength <= held) return address
      const wider = arena.allocate(byteLength)
      if (held > 0) arena.free(address)
      address = wider
      held = byteLength
      return address
    },
  }
}
