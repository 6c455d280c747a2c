import type { DeviceId, LayerWindow } from '@hearth/halda'
import { expect, it } from 'vitest'
import { holdingOf } from './plan-part.ts'

const [alice, bob] = ['alice', 'bob'] as DeviceId[]

it('the last layers of each window are those on the GPU', () => {
  const window = (device: DeviceId, firstLayer: number, layers: number, gpuLayers: number): LayerWindow => {
    return { device, firstLayer, layers, gpuLayers }
  }
  const windows = [
    window(alice!, 0, 3, 1),
    window(bob!, 3, 2, 0),
    window(alice!, 5, 2, 2),
    window(bob!, 7, 1, 1),
  ]
  const plan = { head: alice!, rounds: 2, windows, predictedTpotMs: 1 }
  expect(holdingOf(plan, alice!)).toEqual({ layers: [0, 1], gpuLayers: [2, 5, 6], head: true })
  expect(holdingOf(plan, bob!)).toEqual({ layers: [3, 4], gpuLayers: [7], head: false })
})
