/**
 * An operation runs in one arena. Vectors that lie in another one are copied beside its weights or its cache before, and
 * results back after: kilobytes, where the weights that stay in place are megabytes.
 *
 * @module
 */
import type { Arena } from './wasm-arena.ts'
import type { Place } from './wasm-arenas.ts'
import { createBuffer, type Buffer } from './wasm-buffer.ts'
import type { Kernels } from './wasm-kernels.ts'

/** What an arena has for operations to run in it. */
export type Workplace = {
  readonly kernels: Kernels
  /** For the activations of a product. */
  readonly activations: Buffer
  /** To be called before each operation: forgets the operands of the last one. */
  clear(): void
  /** The address of `length` values from `place`. @throws EngineError 'out-of-memory' */
  input(place: Place, length: number): number
  /** The address of `length` values that belong to `place`; with `keep`, what is there is read too. */
  output(place: Place, length: number, keep?: boolean): number
  /** Brings outputs to where they belong. */
  deliver(): void
}

export function createWorkplace(arena: Arena): Workplace {
  const buffers: Buffer[] = []
  let taken = 0
  const outputs: { place: Place; address: number; length: number }[] = []

  /** Buffers are taken in the order of operands, so that each soon has the size that it needs. */
  function room(length: number): number {
    const buffer = (buffers[taken] ??= createBuffer(arena))
    taken++
    return buffer.at(length * 4)
  }

  function input(place: Place, length: number): number {
    if (place.arena === arena) return place.address
    const address = room(length)
    copy(place, { arena, address }, length)
    return address
  }

  return {
    kernels: arena.kernels,
    activations: createBuffer(arena),
    clear() {
      taken = 0
      outputs.length = 0
    },
    input,
    output(place, length, keep = false) {
      if (place.arena === arena) return place.address
      const address = keep ? input(place, length) : room(length)
      outputs.push({ place, address, length })
      return address
    },
    deliver() {
      for (const { place, address, length } of outputs) copy({ arena, address }, place, length)
    },
  }
}

function copy(from: Place, to: Place, length: number): void {
  to.arena.floats(to.address, length).set(from.arena.floats(from.address, length))
}
