import { describe, expect, it } from 'vitest'
import { readExample } from './example.fixture.ts'
import { createRandom, randomDevices, randomModel, shuffled } from './random-cluster.fixture.ts'
import { planByMemory, planEqual, planSingle } from './solve-baseline.ts'
import { planExact } from './solve-exact.ts'
import type { PlanResult } from './types.ts'

const layersOf = (result: PlanResult) =>
  result.ok
    ? Object.fromEntries(result.plan.windows.map(({ device, layers }) => [device, layers]))
    : result.message
const tpotOf = (result: PlanResult) => (result.ok ? result.plan.predictedTpotMs : Infinity)

describe('the baselines', () => {
  const random = createRandom(12)
  const model = randomModel(random, 32)

  it('by memory give 8, 8 and 11 GiB of 32 layers 9, 10 and 13, as published for exo', () => {
    const gibibytes = [8, 8, 11]
    const house = randomDevices(random, 3, model, 9).map((device, index) => ({
      ...device,
      memoryBytes: (gibibytes[index] ?? 0) * 2 ** 30,
    }))
    expect(layersOf(planByMemory(house, model))).toEqual({ 'device-0': 9, 'device-1': 10, 'device-2': 13 })
  })

  it('shared out equally differ by one layer at most', () => {
    const devices = randomDevices(random, 5, model, 9)
    expect(layersOf(planEqual(devices, model))).toEqual({
      'device-0': 6,
      'device-1': 6,
      'device-2': 7,
      'device-3': 6,
      'device-4': 7,
    })
  })

  it('of one device take the one that is fastest alone', () => {
    const { devices } = readExample('two-devices.json')
    const roomy = devices.map((device) => ({ ...device, memoryBytes: 1e12 }))
    expect(layersOf(planSingle(roomy, model))).toEqual({ alice: 32 })
    const onlyBob = roomy.map((device) =>
      device.device === 'alice' ? { ...device, memoryBytes: 1e8 } : device,
    )
    expect(layersOf(planSingle(onlyBob, model))).toEqual({ bob: 32 })
    expect(layersOf(planSingle(devices, model))).toMatch(
      /^alice cannot hold 32 layers and the head: that takes at least .* and it offers 300 MB\./,
    )
    expect(planSingle([], model)).toMatchObject({ ok: false, code: 'no-plan' })
  })

  it('never predict a faster token than the exact planner, and do not depend on the order of devices', () => {
    for (let trial = 0; trial < 100; trial++) {
      const each = randomModel(random, 1 + Math.floor(random() * 30))
      const devices = randomDevices(random, 1 + Math.floor(random() * 6), each, 0.5 + random() * 2)
      const best = tpotOf(planExact(devices, each))
      for (const planner of [planByMemory, planEqual, planSingle]) {
        const result = planner(devices, each)
        expect(tpotOf(result)).toBeGreaterThanOrEqual(best)
        expect(planner(shuffled(random, devices), each)).toEqual(result)
      }
    }
  })
})
