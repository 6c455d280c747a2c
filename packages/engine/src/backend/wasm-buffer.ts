/**
 * Scratch that outlives a call.
 *
 * @module
 */
import type { Space } from './wasm-arena.ts'

/** Memory that is taken once, and again only when more is needed. What lay in it is lost then. */
export type Buffer = {
  /** @throws EngineError 'out-of-memory', holding what it held */
  at(byteLength: number): number
}

export function createBuffer(space: Space): Buffer {
  let address = 0
  let held = 0
  return {
    at(byteLength) {
      if (byteLength <= held) return address
      const wider = space.allocate(byteLength)
      if (held > 0) space.free(address)
      address = wider
      held = byteLength
      return address
    },
  }
}
