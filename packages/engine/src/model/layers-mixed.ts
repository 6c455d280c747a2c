/**
 * Layers of which the first run on the processor and the last on the GPU, as one.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { Activation } from '../protocol.ts'
import { spanOf, type Layers } from './layers.ts'

/**
 * @param cpu holds what `gpu` does not
 * @param gpu null while no layer is on a GPU
 */
export function createMixedLayers(cpu: Layers, gpu: () => (Layers & { loaded(): number[] }) | null): Layers {
  /** How many of a span come before the first that is on the GPU. */
  function countBefore(a: Activation, count: number): number {
    const onGpu = new Set(gpu()?.loaded())
    const first = spanOf(a, count).findIndex((layer) => onGpu.has(layer))
    return first < 0 ? count : first
  }

  return {
    async run(group, count) {
      const before = countBefore(group[0]!, count)
      if (before === count) return cpu.run(group, count)
      const half = before === 0 ? group : await cpu.run(group, before)
      const going = half.filter((out): out is Activation => !(out instanceof EngineError))
      const through = going.length === 0 ? [] : await gpu()!.run(going, count - before)
      return half.map((out) => (out instanceof EngineError ? out : through.shift()!))
    },
    release(session) {
      cpu.release(session)
      gpu()?.release(session)
    },
    kvBytes: () => cpu.kvBytes() + (gpu()?.kvBytes() ?? 0),
    gatherRows: () => cpu.gatherRows(),
  }
}
