/**
 * The kernels as one thread has them: an instance over every arena, each of which finds the others.
 *
 * A job is announced, and waited for, in the first arena, where all threads listen; what is to be done may lie in another.
 *
 * @module
 */
import type { Kernels } from './wasm-kernels.ts'

/** @returns the kernels over the memory of an arena, made when they are first asked for: RangeError if there is no room */
export function createInstances(
  module: WebAssembly.Module,
  memoryOf: (arena: number) => WebAssembly.Memory,
): (arena: number) => Kernels {
  const instances: Kernels[] = []
  const kernelsOf = (arena: number) => (instances[arena] ??= instantiate(memoryOf(arena)))
  const arenas = {
    announce: (arena: number) => kernelsOf(0).announceFor(arena),
    join: () => kernelsOf(0).joinThreads(),
    takePart: (arena: number, thread: number) => kernelsOf(arena).takePart(thread),
  }

  function instantiate(memory: WebAssembly.Memory): Kernels {
    const { exports } = new WebAssembly.Instance(module, { env: { memory }, arenas })
    return exports as Kernels
  }
  return kernelsOf
}
