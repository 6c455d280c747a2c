import type { ModelProfile } from '@hearth/halda'
import { describe, expect, it } from 'vitest'
import { wasmPacking } from '../../backend/wasm-packing.ts'
import { gpuRoomBytes } from './gpu-room.ts'

/** One matrix of 4096 × 4096 in a layer, and no K and V to speak of. */
const weights = 4096 * 4096
const modelOf = (layerBytes: ModelProfile['layerBytes'], kvBytesPerPosition = 0): ModelProfile => ({
  name: 'demo',
  nLayers: layerBytes.length,
  dim: 1024,
  layerBytes,
  outputBytes: {},
  embeddingBytes: 0,
  tiedOutput: true,
  kvBytesPerPosition,
  contextLength: 1024,
})
const storedIn = (bytesPerBlock: number) => (weights / 32) * bytesPerBlock
const q4 = { Q4_0: storedIn(18) }

/** Behind a budget so large that scratch is nothing. */
const share = (model: ModelProfile) => gpuRoomBytes(1e15, model, wasmPacking) / 1e15

describe('the room that a GPU has for the planner', () => {
  it('is its budget while no model is chosen', () => {
    expect(gpuRoomBytes(1e9, null, wasmPacking)).toBe(1e9)
  })

  it('is less where weights take more there than in the store', () => {
    // 16 bytes of quants and a scale in f32 instead of f16; the same with quants of 8 bits.
    expect(share(modelOf([q4]))).toBeCloseTo(18 / 20, 6)
    expect(share(modelOf([{ Q8_0: storedIn(34) }]))).toBeCloseTo(34 / 36, 6)
  })

  it('is that of the layer that grows most', () => {
    // Six bits become eight, and 16 weights share a scale in f32.
    const q6 = { Q6_K: (weights / 256) * 210 }
    expect(share(modelOf([q4, q6, q4]))).toBeCloseTo(210 / (256 + 64), 6)
  })

  it('counts K and V twice, which are f32 there', () => {
    const kvBytes = q4.Q4_0
    expect(share(modelOf([q4], kvBytes / 1024))).toBeCloseTo((18 + 18) / (20 + 2 * 18), 6)
  })

  it('leaves room for what a step takes besides, and may be none', () => {
    const model = modelOf([q4])
    const scratchBytes = 1e15 - gpuRoomBytes(1e15, model, wasmPacking) / (18 / 20)
    expect(scratchBytes).toBeGreaterThan(128 * 4 * 16 * 1024)
    expect(gpuRoomBytes(1e6, model, wasmPacking)).toBe(0)
  })

  it('is none for a model whose heads no kernel takes', () => {
    expect(share({ ...modelOf([q4]), headDim: 80 })).toBeGreaterThan(0)
    expect(share({ ...modelOf([q4]), headDim: 100 })).toBe(0)
  })
})
