/**
 * Where the things lie that a backend handed out: regions, matrices, vectors, caches.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { Region, Vector } from './backend.ts'
import type { Place } from './wasm-arenas.ts'

export type Handles = {
  /** From now on the handle means this place. @returns the handle */
  put<T extends object>(handle: T, place: Place): T
  /** @throws EngineError 'bug' for a handle of another backend */
  placeOf(handle: object): Place
  /** The place of a vector that must hold at least `length` values. */
  valuesOf(vector: Vector, length: number): Place
  /** The place of `byteLength` bytes at `offset` of a region. */
  inRegion(region: Region, offset: number, byteLength: number): Place
}

export function createHandles(): Handles {
  const places = new WeakMap<object, Place>()

  function placeOf(handle: object): Place {
    const place = places.get(handle)
    if (!place) throw new EngineError('bug', 'A handle was given to a backend that did not make it')
    return place
  }

  return {
    put(handle, place) {
      places.set(handle, place)
      return handle
    },
    placeOf,
    valuesOf(vector, length) {
      if (vector.length < length) {
        throw new EngineError(
          'bug',
          `A vector of ${vector.length} values was given where ${length} are needed`,
        )
      }
      return placeOf(vector)
    },
    inRegion(region, offset, byteLength) {
      if (offset % 64 !== 0 || offset + byteLength > region.byteLength) {
        throw new EngineError(
          'bug',
          `A tensor of ${byteLength} bytes at ${offset} does not lie in a region of ${region.byteLength}`,
        )
      }
      return behind(placeOf(region), offset)
    },
  }
}

/** So many bytes further on. */
export const behind = ({ arena, address }: Place, byteLength: number): Place => ({
  arena,
  address: address + byteLength,
})
