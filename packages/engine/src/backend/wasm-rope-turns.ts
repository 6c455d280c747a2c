/**
 * Cosines and sines for RoPE, worked out in double precision once per step and shared by all heads and layers.
 *
 * @module
 */
import type { Vector } from './backend.ts'
import type { Arena } from './wasm-arena.ts'
import { createBuffer } from './wasm-buffer.ts'

export type RopeTurns = {
  /**
   * The address of cosines (rows, headDim / 2), then sines. Kept from call to call while frequencies (the handle),
   * position and rows are the same.
   */
  at(inverseFrequencies: Vector, position: number, rows: number): number
}

export function createRopeTurns(arena: Arena): RopeTurns {
  const buffer = createBuffer(arena)
  let last: { inverseFrequencies: Vector; position: number; rows: number; address: number } | null = null

  return {
    at(inverseFrequencies, position, rows) {
      const isKept = last?.inverseFrequencies === inverseFrequencies
      if (last && isKept && last.position === position && last.rows === rows) return last.address
      const half = inverseFrequencies.length
      const address = buffer.at(rows * half * 2 * 4)
      const frequencies = inverseFrequencies.values()
      const cosines = arena.floats(address, rows * half)
      const sines = arena.floats(address + rows * half * 4, rows * half)
      for (let row = 0; row < rows; row++) {
        for (let i = 0; i < half; i++) {
          const angle = (position + row) * frequencies[i]!
          cosines[row * half + i] = Math.cos(angle)
          sines[row * half + i] = Math.sin(angle)
        }
      }
      last = { inverseFrequencies, position, rows, address }
      return address
    },
  }
}
