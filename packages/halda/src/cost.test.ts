import { describe, expect, it } from 'vitest'
import { planCost } from './cost.ts'
import { readExample } from './example.fixture.ts'
import {
  alphaNs,
  defaultBufferBytes as bufferBytes,
  embeddingMemoryBytes,
  gpuLayerNs,
  headMemoryBytes,
  kappaNs,
  layerKvBytes,
  layerMemoryBytes,
  outputPieces,
  weightsNs,
  xiNs,
} from './symbols.ts'
import type { BytesByType, DeviceId, LayerWindow, Plan } from './types.ts'
import { spread } from './windows.ts'

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
/** One row, with nothing behind it. */
const row = { rows: 1, positions: 0 }
const costOf = (plan: Plan) => planCost(plan, devices, model)

describe('the cost of a plan', () => {
  it('is, symbol by symbol, what the worked example of the README says', () => {
    expect(alphaNs(alice, model, row)).toBe(5e6)
    expect(alphaNs(bob, model, row)).toBe(10e6)
    expect(kappaNs(alice, model, row)).toBe(10e6)
    expect(kappaNs(bob, model, row)).toBe(25e6)
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
    expect(weightsNs(bob, { F32: 4e6 })).toBe(1e6)
    expect(weightsNs(bob, { Q4_K: 5e6, F32: 4e6 })).toBe(2e6)
  })

  it('is not fooled by devices and weight types named like what every object has', () => {
    expect(xiNs(alice, 'constructor' as DeviceId)).toBe(2e6)
    expect(weightsNs(alice, { toString: 10e6 } as unknown as BytesByType)).toBe(1e6)
  })

  it('counts attention over the context, what every layer and head takes besides, and rows that share a read', () => {
    const measured = { ...alice, kvReadBytesPerSec: 1e9, layerFixedMs: 0.1, headFixedMs: 0.5 }
    expect(alphaNs(measured, model, { rows: 1, positions: 1000 })).toBe(5e6 + 1e6 + 0.1e6)
    expect(kappaNs(measured, model, row)).toBe(10.5e6)
    const batched = { ...measured, prefillBytesPerSec: { Q4_K: 30e9 } }
    expect(alphaNs(measured, model, { rows: 2, positions: 0 })).toBe(2 * 5.1e6)
    expect(alphaNs(batched, model, { rows: 2, positions: 0 })).toBe(5e6 + 0.2e6)
    expect(alphaNs(batched, model, { rows: 6, positions: 0 })).toBe(10e6 + 0.6e6)
    const plan = planOf('alice', [window('alice', 0, 4)])
    const roomy = [{ ...measured, memoryBytes: 1e9 }]
    expect(planCost(plan, roomy, model, { sessions: 2, positions: 500 }).tpotNs).toBe(
      2 * (4 * (5e6 + 0.5e6 + 0.1e6) + 10.5e6),
    )
  })

  it('counts GPU layers, a copy for every window that has some, and the memory of the GPU', () => {
    const gpu = { memoryBytes: 120e6, weightBytesPerSec: { Q4_K: 50e9 }, copyMs: 0.25 }
    const house = [{ ...alice, memoryBytes: 1e9, gpu }, bob]
    expect(gpuLayerNs(gpu, model, row)).toBe(1e6)
    const onGpu = (gpuLayers: number) => planOf('alice', [{ ...window('alice', 0, 4), gpuLayers }])
    expect(planCost(onGpu(2), house, model, { positions: 0 })).toMatchObject({
      tpotNs: 2 * 5e6 + 2 * 1e6 + 0.25e6 + 10e6,
      fits: true,
      devices: [{ gpuLayers: 2, memoryBytes: 2 * (50e6 + 1e6 / 8) + 160e6 + bufferBytes }, {}],
    })
    const tooMany = planCost(onGpu(3), house, model)
    expect(tooMany).toMatchObject({ fits: false, devices: [{ gpuRoomLayers: 2 }, { gpuRoomLayers: 0 }] })
  })

  it('has rows of a prompt share a read on a GPU whose batched rate was measured', () => {
    const gpu = { memoryBytes: 1e9, weightBytesPerSec: { Q4_K: 50e9 }, copyMs: 0.25 }
    const batched = { ...gpu, prefillBytesPerSec: { Q4_K: 400e9 } }
    const rows = { rows: 32, positions: 0 }
    expect(gpuLayerNs(gpu, model, rows)).toBe(32e6)
    expect(gpuLayerNs(batched, model, rows)).toBe(4e6)
    const plan = planOf('alice', [{ ...window('alice', 0, 4), gpuLayers: 4 }])
    const ttftNs = (profile: typeof gpu) =>
      planCost(plan, [{ ...alice, memoryBytes: 1e9, gpu: profile }, bob], model, { promptTokens: 32 }).ttftNs
    // One chunk, through four layers.
    expect(ttftNs(gpu) - ttftNs(batched)).toBe(4 * 28e6)
  })

  it('has a visit wait for what two slots could not hold when it began, and a token for the longest reads', () => {
    // Six units (the output is two of them) of 50 ms each, in a memory of five: three stream.
    expect(outputPieces(model)).toBe(2)
    const alone = costOf(planOf('alice', [window('alice', 0, 4)]))
    expect(alone).toMatchObject({ tpotNs: 150e6, devices: [{ pinnedUnits: 3, streamedUnits: 3 }, {}] })
    // 30 ms of computing: the first streamed unit after 10 ms, a read of 50 ms, the last unit's 5 ms.
    expect(alone.pathNs).toBe(65e6)
    expect(alone.devices[0]?.waitNs).toBe(120e6)
  })

  it('has units stay in the room of KV that conversations do not need yet', () => {
    const long = { ...model, kvBytesPerPosition: 10_000 }
    expect([0, 124, 125, 900].map((positions) => layerKvBytes(long, { positions }))).toEqual([
      1.25e6, 1.25e6, 2.5e6, 10e6,
    ])
    expect(layerKvBytes(long)).toBe(10e6)
    // Beside two slots for her four layers and two pieces of output of 50 MB each.
    const tight = [{ ...alice, memoryBytes: 280e6 }, bob]
    const plan = planOf('alice', [window('alice', 0, 4)])
    const pinned = (workload = {}) => planCost(plan, tight, long, workload).devices[0]?.pinnedUnits
    expect(pinned()).toBe(2)
    expect(pinned({ positions: 100 })).toBe(3)
  })

  it('has more rounds hide more reads', () => {
    const long = { ...model, nLayers: 8, layerBytes: [...model.layerBytes, ...model.layerBytes] }
    const tight = [
      { ...alice, memoryBytes: 1e9 },
      { ...bob, memoryBytes: 121e6, diskReadBytesPerSec: 2.5e9 },
    ]
    const inRounds = (rounds: number) => {
      const shares = [alice, bob].map(({ device }) => ({ device, layers: 4 }))
      return planCost(planOf('alice', spread(shares, rounds), rounds), tight, long)
    }
    const [once, twice] = [inRounds(1), inRounds(2)]
    // Bob has room for two slots. Of his four layers of 10 ms two are read when a visit begins; the others take 20 ms
    // each from when the first has run, and the last one 10 ms more: 60 ms instead of 40.
    expect(once).toMatchObject({ tpotNs: 95e6, devices: [{}, { streamedUnits: 4, waitNs: 20e6 }] })
    expect(twice).toMatchObject({ tpotNs: 80e6, devices: [{}, { streamedUnits: 4, waitNs: 0 }] })
  })

  it('holds the embedding only where there is room', () => {
    expect(embeddingMemoryBytes(model)).toBe(60e6)
    const cost = costOf(planOf('alice', [window('alice', 0, 3), window('bob', 3, 1)]))
    expect(cost).toMatchObject({
      tpotNs: 40e6,
      fits: true,
      devices: [{ residentBytes: 253e6 + bufferBytes }, {}],
    })
    expect(cost.devices[0]?.memoryBytes).toBeGreaterThan(alice.memoryBytes)
  })

  it('counts a prompt in chunks that follow each other through the ring', () => {
    const plan = planOf('alice', [window('alice', 0, 3), window('bob', 3, 1)])
    const chunked = devices.map((device) => ({ ...device, prefillBytesPerSec: { Q4_K: 32e9 } }))
    // A chunk of 32 rows takes each layer 50 ms; alice's three layers are the bottleneck of the second chunk.
    expect(planCost(plan, chunked, model, { promptTokens: 64 }).ttftNs).toBe(
      (150 + 50 + 2 + 3 + 150 + 10) * 1e6,
    )
  })

  it('does not price a plan of strangers', () => {
    expect(() => costOf(planOf('dave', [window('alice', 0, 4)]))).toThrow('dave')
  })
})
