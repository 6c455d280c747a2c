import type { ModelProfile } from '@hearth/halda'
import { describe, expect, it } from 'vitest'
import { wasmPacking } from '../../backend/wasm-packing.ts'
import { matricesOf, shapeOf } from './layer-shape.ts'

/** Llama 3.2 1B: 32 heads of 64, 8 KV heads, in Q4_K with Q6_K where llama.cpp mixes it in. */
function llama(dim: number, kvDim: number, ffnDim: number): ModelProfile {
  const bytes = (rows: number, cols: number, type: 'Q4_K' | 'Q6_K') =>
    (rows / 8) * wasmPacking.groupBytes(type, cols)
  return {
    name: 'a model',
    nLayers: 1,
    dim,
    layerBytes: [
      {
        F32: 2 * dim * 4,
        Q4_K: 2 * bytes(dim, dim, 'Q4_K') + bytes(kvDim, dim, 'Q4_K') + 2 * bytes(ffnDim, dim, 'Q4_K'),
        Q6_K: bytes(kvDim, dim, 'Q6_K') + bytes(dim, ffnDim, 'Q6_K'),
      },
    ],
    outputBytes: { Q6_K: 1 },
    embeddingBytes: 1,
    tiedOutput: true,
    kvBytesPerPosition: 2 * kvDim * 2,
    contextLength: 64,
  }
}

describe('the shape of a layer', () => {
  it.each([
    [2048, 512, 8192],
    [4096, 1024, 14_336],
    [1536, 256, 8960],
  ])('is found from the sizes of a model: dim %i, K and V %i, feed-forward %i', (dim, kvDim, ffnDim) => {
    expect(shapeOf(llama(dim, kvDim, ffnDim), wasmPacking)).toEqual({ dim, kvDim, ffnDim })
  })

  it('is whole blocks of every type, whatever a stranger says', () => {
    const odd = { ...llama(2048, 512, 8192), dim: 65_535, layerBytes: [{ Q4_K: 1, nonsense: 9e15 }] }
    for (const lanes of Object.values(shapeOf(odd, wasmPacking))) {
      expect(lanes % 256).toBe(0)
      expect(lanes).toBeGreaterThan(0)
    }
  })

  it('has seven matrices with the weights of a layer', () => {
    const weights = matricesOf({ dim: 4, kvDim: 2, ffnDim: 8 }).reduce((sum, [r, c]) => sum + r * c, 0)
    expect(weights).toBe(2 * 16 + 2 * 8 + 3 * 32)
  })
})
