import { describe, expect, it } from 'vitest'
import {
  alphaNs,
  bufferBytes,
  headMemoryBytes,
  kappaNs,
  layerMemoryBytes,
  planCost,
  readNs,
  xiNs,
} from './cost.ts'
import { readExample } from './example.fixture.ts'
import type { BytesByType, DeviceId, LayerWindow, Plan } from './types.ts'

const { devices, model } = readExample('two-devices.json')
const [alice, bob] = devices
if (!alice || !bob) throw new Error('examples/two-devices.json has two devices')

const window = (device: string, firstLayer: number, layers: number): LayerWindow => ({
  device: device as DeviceId,
  firstLayer,
  layers,
  gpuLayers: 0,
})
const planOf = (head: string, windows: LayerWindow[], rounds = 1): Plan => ({
  head: head as DeviceId,
  rounds,
  windows,
  predictedTpotMs: 0,
})
const costOf = (plan: Plan) => planCost(plan, devices, model)

describe('the cost of a plan', () => {
  it('is, symbol by symbol, what the worked example of the README says', () => {
    expect(alphaNs(alice, model, 0)).toBe(5e6)
    expect(alphaNs(bob, model, 3)).toBe(10e6)
    expect(kappaNs(alice, model)).toBe(10e6)
    expect(kappaNs(bob, model)).toBe(25e6)
    expect(xiNs(alice, bob.device)).toBe(2e6)
    expect(xiNs(bob, alice.device)).toBe(3e6)
    expect(layerMemoryBytes(model, 0)).toBe(51e6)
    expect(headMemoryBytes(model)).toBe(160e6)
    const cost = costOf(planOf('alice', [window('alice', 0, 2), window('bob', 2, 2)]))
    expect(cost).toMatchObject({
      tpotNs: 45e6,
      hops: 2,
      devices: [
        { layers: 2, computeNs: 10e6, outputNs: 10e6, hopNs: 2e6, memoryBytes: 262e6 + bufferBytes },
        { layers: 2, computeNs: 20e6, outputNs: 0, hopNs: 3e6, memoryBytes: 102e6 + bufferBytes },
      ],
    })
  })

  it('counts one hop per change of device, into the first window and back to the head too', () => {
    expect(costOf(planOf('alice', [window('alice', 0, 4)])).hops).toBe(0)
    expect(costOf(planOf('alice', [window('bob', 0, 4)]))).toMatchObject({ hops: 2, tpotNs: 55e6 })
    const twoRounds = [window('bob', 0, 1), window('alice', 1, 1), window('bob', 2, 1), window('alice', 3, 1)]
    expect(costOf(planOf('alice', twoRounds, 2))).toMatchObject({ hops: 4, tpotNs: 50e6 })
    expect(costOf(planOf('bob', twoRounds, 2)).hops).toBe(4)
  })

  it('holds a tied lm_head once, and nothing on a device without a part', () => {
    const tied = { ...model, tiedOutput: true, embeddingBytes: 100e6 }
    expect(headMemoryBytes(tied)).toBe(100e6)
    const cost = planCost(planOf('alice', [window('alice', 0, 4)]), devices, tied)
    expect(cost.devices.map(({ memoryBytes }) => memoryBytes)).toEqual([304e6 + bufferBytes, 0])
  })

  it('needs two units at once and the KV cache; the head no whole output, and no embedding', () => {
    const least = (layers: number) =>
      costOf(planOf('alice', [window('alice', 0, layers), window('bob', layers, 4 - layers)])).devices[0]!
        .leastMemoryBytes
    expect(least(4)).toBe(2 * 50e6 + 4 * 1e6 + bufferBytes)
    expect(least(1)).toBe(2 * 50e6 + 1e6 + bufferBytes)
  })

  it('takes the slowest measured rate for a weight type that was not measured', () => {
    expect(readNs(bob, { F32: 4e6 })).toBe(1e6)
    expect(readNs(bob, { Q4_K: 5e6, F32: 4e6 })).toBe(2e6)
  })

  it('is not fooled by devices and weight types named like what every object has', () => {
    expect(xiNs(alice, 'constructor' as DeviceId)).toBe(2e6)
    expect(readNs(alice, { toString: 10e6 } as unknown as BytesByType)).toBe(1e6)
  })

  it('does not price a plan of strangers', () => {
    expect(() => costOf(planOf('dave', [window('alice', 0, 4)]))).toThrow('dave')
  })
})
