/**
 * Scratch that is allocated together or not at all, so that a device that is too small is as it was.
 *
 * @module
 */
import type { Backend } from '../backend/backend.ts'

export type ScratchVector = ReturnType<Backend['scratch']>

/** @throws what `allocate` throws, once everything that it made is freed */
export function allocateTogether<T>(
  backend: Backend,
  allocate: (make: (length: number) => ScratchVector) => T,
): T {
  const made: ScratchVector[] = []
  try {
    return allocate((length) => {
      const vector = backend.scratch(length)
      made.push(vector)
      return vector
    })
  } catch (thrown) {
    for (const vector of made) vector.free()
    throw thrown
  }
}
