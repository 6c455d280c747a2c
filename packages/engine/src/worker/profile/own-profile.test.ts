import type { DeviceId, DeviceProfile, HopTimes } from '@hearth/halda'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Abilities } from '../../page/cluster.ts'
import type { RoomView } from '../../protocol.ts'
import type { KeptMeasurements } from './kept-measurements.ts'
import { createOwnProfile } from './own-profile.ts'

const alice = 'alice-device' as DeviceId
const compute = {
  weightBytesPerSec: { Q8_0: 2e10, Q4_0: 1.9e10 },
  prefillBytesPerSec: { Q8_0: 3e10, Q4_0: 2.9e10 },
  layerFixedMs: 0.05,
  kvAppendMs: 0.01,
  kvReadBytesPerSec: 7e9,
  headFixedMs: 0.02,
}
const forModel = { ...compute, weightBytesPerSec: { Q8_0: 5e10 }, layerFixedMs: 0.01 }
const model = {
  name: 'demo',
  nLayers: 8,
  dim: 256,
  layerBytes: [{ Q8_0: 1e6 }],
  outputBytes: {},
  embeddingBytes: 1,
  tiedOutput: true,
  kvBytesPerPosition: 512,
  contextLength: 512,
}
const withOutput = { ...model, outputBytes: { Q8_0: 50e6 } }
const roomWith = (profile: typeof model | null): RoomView => ({
  devices: [],
  choice: profile && {
    model: { name: 'demo', url: '/models/demo.gguf', sizeBytes: 1, revision: 'a' },
    profile,
    request: { split: 'fastest' },
  },
  numbered: null,
  noPlan: null,
  planning: false,
})

/** What outlives a visit. */
let memory: Map<string, unknown>
beforeEach(() => void (memory = new Map()))

const gpuSpeed = {
  weightBytesPerSec: { Q8_0: 9e10, Q4_0: 8e10 },
  prefillBytesPerSec: { Q8_0: 9e11 },
  copyMs: 0.5,
  measuredAtMs: 1,
}

/** @param gpu whose model's rates are half of its others */
function visit(gpu = { name: null as string | null, budgetBytes: 0 }) {
  const kept: KeptMeasurements = {
    get: async <T>(what: string) => (memory.get(what) as T) ?? null,
    put: async (what, measured) => void memory.set(what, measured),
  }
  const memoryBytes = 1e9
  const measured: string[] = []
  const told: DeviceProfile[] = []
  const reported: Abilities[] = []
  let times: Record<DeviceId, HopTimes> = {}
  const own = createOwnProfile({
    me: alice,
    backend: { detail: 'WASM, one thread', threads: 1, memoryBytes: () => 2e8 },
    memoryBytes,
    kept,
    async measureDevice(mostBytes) {
      expect(mostBytes).toBeLessThanOrEqual(memoryBytes / 2)
      measured.push('device')
      return { ...compute, diskReadBytesPerSec: 8e9, diskWriteBytesPerSec: 1e9, measuredAtMs: Date.now() }
    },
    async measureForModel({ name }) {
      measured.push(name)
      return forModel
    },
    gpu: {
      name: async () => gpu.name,
      budgetBytes: () => gpu.budgetBytes,
      async measure(model) {
        measured.push(model ? `GPU for ${model.name}` : 'GPU')
        return model ? { ...gpuSpeed, weightBytesPerSec: { Q8_0: 4.5e10 } } : gpuSpeed
      },
      roomBytes: (budgetBytes, model) => (model ? budgetBytes / 2 : budgetBytes),
    },
    hops: () => ({ times, assumedMs: 5, busyMs: 0 }),
    tell: (profile) => told.push(profile),
    report: (abilities) => reported.push(abilities),
    onproblem: (thrown) => expect.unreachable(String(thrown)),
  })
  return {
    own,
    measured,
    told,
    reported,
    setHops: (next: typeof times) => {
      times = next
      own.hopsChanged()
    },
  }
}

describe('what a device tells of itself', () => {
  it('is measured on the first visit and remembered on the next, until a person asks', async () => {
    const first = visit()
    await first.own.start()
    expect(first.measured).toEqual(['device'])
    expect(first.told).toHaveLength(1)
    const second = visit()
    await second.own.start()
    expect(second.measured).toEqual([])
    expect(second.told[0]).toEqual(first.told[0])
    await second.own.measureAgain()
    expect(second.measured).toEqual(['device'])
  })

  it('holds for the model that the room runs, once that is chosen', async () => {
    const { own, measured, told } = visit()
    await own.start()
    own.follow(roomWith(model))
    own.follow(roomWith({ ...model }))
    await expect.poll(() => told.length).toBe(2)
    expect(measured).toEqual(['device', 'demo'])
    expect(told[1]).toMatchObject({ weightBytesPerSec: { Q8_0: 5e10, Q4_0: 1.9e10 }, layerFixedMs: 0.01 })
  })

  it('says nothing before it has measured, and nothing twice', async () => {
    const { own, told, setHops } = visit()
    setHops({})
    own.setMemory(8e8)
    expect(told).toEqual([])
    await own.start()
    own.setMemory(8e8)
    expect(told).toHaveLength(1)
    const hop = { rowMs: 1, rowP90Ms: 2, chunkMs: 3, chunkP90Ms: 4, lateShare: 0 }
    setHops({ ['bob-device' as DeviceId]: hop })
    expect(told[1]).toMatchObject({
      memoryBytes: 8e8,
      hopMs: { 'bob-device': 1 },
      hops: { 'bob-device': hop },
    })
  })

  it('has a GPU once that is measured, for most models and then for its own', async () => {
    const { own, measured, told, reported } = visit({ name: 'acme gen-9', budgetBytes: 1e9 })
    await own.start()
    // What is known without it is told at once.
    expect(told.map(({ gpu }) => gpu?.memoryBytes)).toEqual([undefined, 1e9])
    expect(reported.map(({ gpu }) => gpu?.copyMs)).toEqual([undefined, 0.5])
    own.follow(roomWith(model))
    await expect.poll(() => measured).toEqual(['device', 'GPU', 'demo', 'GPU for demo'])
    await expect
      .poll(() => told.at(-1)?.gpu)
      .toEqual({
        memoryBytes: 5e8,
        weightBytesPerSec: { Q8_0: 4.5e10, Q4_0: 8e10 },
        prefillBytesPerSec: { Q8_0: 9e11 },
        copyMs: 0.5,
      })
    const again = visit({ name: 'acme gen-9', budgetBytes: 1e9 })
    await again.own.start()
    expect(again.measured).toEqual([])
    expect(again.told.map(({ gpu }) => gpu?.memoryBytes)).toEqual([1e9])
    // Another GPU is another matter.
    const other = visit({ name: 'acme gen-10', budgetBytes: 1e9 })
    await other.own.start()
    expect(other.measured).toEqual(['GPU'])
  })

  it('has no GPU any more when that is switched off, and measures one that is switched on', async () => {
    const gpu = { name: null as string | null, budgetBytes: 0 }
    const { own, measured, told } = visit(gpu)
    await own.start()
    Object.assign(gpu, { name: 'acme gen-9', budgetBytes: 1e9 })
    own.gpuChanged()
    await expect.poll(() => told.at(-1)?.gpu?.memoryBytes).toBe(1e9)
    Object.assign(gpu, { name: null, budgetBytes: 0 })
    own.gpuChanged()
    expect(told.at(-1)).not.toHaveProperty('gpu')
    expect(measured).toEqual(['device', 'GPU'])
  })

  it('is slower out of sight, and as before when it is back', async () => {
    const { own, told, reported } = visit()
    await own.start()
    own.setConditions({ isHidden: true, isBatteryLow: false })
    expect(told[1]!.weightBytesPerSec['Q8_0']).toBe(1e10)
    expect(reported[1]!.slowdown).toEqual({ factor: 2, reasons: ['hidden'] })
    own.setConditions({ isHidden: false, isBatteryLow: false })
    expect(told[2]).toEqual(told[0])
  })

  it('reads as fast as layers have really streamed', async () => {
    const { own, told } = visit()
    await own.start()
    expect(told[0]).toMatchObject({ diskReadBytesPerSec: 8e9, diskMeasured: 'warm' })
    own.noteReads({ readBytes: 1e8, readingMs: 1000 })
    expect(told).toHaveLength(1)
    own.noteReads({ readBytes: 5e8, readingMs: 1000 })
    expect(told[1]).toMatchObject({ diskReadBytesPerSec: 5e8, diskMeasured: 'streamed' })
    own.noteReads({ readBytes: 1.04e9, readingMs: 2000 })
    expect(told).toHaveLength(2)
  })

  it('takes as long as a head as answers really took, reading the output left out, until another model comes', async () => {
    const { own, told } = visit()
    await own.start()
    own.noteHead(9)
    own.follow(roomWith(withOutput))
    await expect.poll(() => told.length).toBe(2)
    const answer = (ms: number) => {
      for (let token = 0; token < 16; token++) own.noteHead(token === 0 ? 50 : ms)
    }
    // An output of 50 MB at 50 GB/s takes 1 ms; the rest was measured to take 0.02.
    answer(1.022)
    expect(told).toHaveLength(2)
    answer(1.5)
    expect(told[2]!.headFixedMs).toBeCloseTo(0.5)
    answer(1.51)
    expect(told).toHaveLength(3)
    own.follow(roomWith({ ...withOutput, name: 'another' }))
    await expect.poll(() => told.length).toBe(4)
    expect(told[3]!.headFixedMs).toBe(compute.headFixedMs)
  })

  it('grows slower as its layers do, longer contexts left out', async () => {
    const { own, told } = visit()
    await own.start()
    own.follow(roomWith(model))
    await expect.poll(() => told.length).toBe(2)
    const answer = (position: number, ms: number) => {
      for (let token = 0; token < 100; token++) own.noteRun({ layers: 8, position, ms })
    }
    answer(0, 8)
    // 8 layers, 512 bytes, 7 GB/s: 10,000 positions are 5.85 ms of attention.
    answer(10_000, 8 + 5.85)
    expect(told).toHaveLength(2)
    answer(0, 16)
    expect(told[2]!.slowdown).toEqual({ factor: 2, reasons: ['heat'] })
  })
})
