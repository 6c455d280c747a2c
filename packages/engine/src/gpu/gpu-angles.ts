/**
 * Cosines and sines of the angles by which RoPE turns each pair of a head at each position: (positions, headDim / 2),
 * shared by all layers of a model and made as far as conversations go.
 *
 * @module
 */
import type { GpuMemory } from './gpu-memory.ts'

/** Positions that are made at once, at first; then as many again. */
const firstPositions = 512

export interface GpuAngles {
  /** Tables for at least so many positions. */
  upTo(positions: number): { cos: GPUBuffer; sin: GPUBuffer; positions: number }
  free(): void
}

/** @param theta (headDim / 2), see `inverseFrequencies` */
export function createGpuAngles(memory: GpuMemory, theta: Float32Array): GpuAngles {
  let made: { cos: GPUBuffer; sin: GPUBuffer; positions: number } | null = null

  function free(): void {
    if (made) for (const buffer of [made.cos, made.sin]) memory.free(buffer)
    made = null
  }

  function tableOf(positions: number, of: (angle: number) => number): GPUBuffer {
    const pairs = theta.length
    const table = new Float32Array(positions * pairs)
    for (let i = 0; i < table.length; i++) table[i] = of(Math.floor(i / pairs) * theta[i % pairs]!)
    return memory.filled(table)
  }

  return {
    upTo(wanted) {
      if (made && made.positions >= wanted) return made
      let positions = firstPositions
      while (positions < wanted) positions *= 2
      free()
      made = { cos: tableOf(positions, Math.cos), sin: tableOf(positions, Math.sin), positions }
      return made
    },
    free,
  }
}
