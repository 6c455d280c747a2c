import { describe, expect, it } from 'vitest'
import type { ClusterState, DeviceId } from './cluster.ts'
import { gpuInWords } from './gpu-words.ts'

const [alice, bob] = ['alice-device', 'bob-device'] as [DeviceId, DeviceId]
const gpu = { name: 'acme gen-9', problem: null }
const windows = [
  { device: alice, firstLayer: 0, layers: 4, gpuLayers: 2 },
  { device: bob, firstLayer: 4, layers: 4, gpuLayers: 4 },
  { device: alice, firstLayer: 8, layers: 2, gpuLayers: 1 },
]
const stateWith = (plan: typeof windows | null, gpuBudgetBytes = 1e9) => {
  const room = plan && {
    numbered: { number: 1, plan: { head: alice, rounds: 1, windows: plan, predictedTpotMs: 1 } },
  }
  return { device: alice, gpuBudgetBytes, room: room as ClusterState['room'] }
}

describe('the GPU of this device', () => {
  it('has the layers that the plan gives to it', () => {
    expect(gpuInWords(gpu, stateWith(windows))).toBe('acme gen-9, 3 layers')
    expect(gpuInWords(gpu, stateWith(windows.slice(2)))).toBe('acme gen-9, 1 layer')
    expect(gpuInWords(gpu, stateWith([{ ...windows[0]!, gpuLayers: 0 }]))).toBe('acme gen-9, at rest')
    expect(gpuInWords(gpu, stateWith(null))).toBe('acme gen-9, at rest')
  })

  it('may be switched off, or say what is wrong with it', () => {
    expect(gpuInWords(gpu, stateWith(windows, 0))).toBe('acme gen-9, switched off in the settings')
    expect(gpuInWords({ ...gpu, problem: 'It stopped.' }, stateWith(windows))).toBe('It stopped.')
  })
})
