import { describe, expect, it } from 'vitest'
import { planCost } from './cost.ts'
import { readExample } from './example.fixture.ts'
import { createRandom, randomDevices, randomModel } from './random-cluster.fixture.ts'
import { simulateTpotMs } from './simulate.ts'
import { planExact } from './solve-exact.ts'
import { planManual } from './solve-manual.ts'
import type { ModelProfile, PlanResult } from './types.ts'

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN

/** How far the cost is from the run-time behaviour, where something streams: cost ÷ simulated − 1. */
function errorsOf(seed: number, uniform: boolean, exact: boolean): number[] {
  const random = createRandom(seed)
  const errors: number[] = []
  for (let trial = 0; trial < 300; trial++) {
    const drawn = randomModel(random, 4 + Math.floor(random() * 40))
    const [layer = {}] = drawn.layerBytes
    const model: ModelProfile = uniform ? { ...drawn, layerBytes: drawn.layerBytes.map(() => layer) } : drawn
    const devices = randomDevices(random, 1 + Math.floor(random() * 4), model, 0.05 + random() * 0.4)
    const weights = devices.map(() => random())
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    let run = 0
    const layers = weights.map((weight, i) => {
      const end =
        i === weights.length - 1 ? model.nLayers : run + Math.floor((weight / total) * model.nLayers)
      const share = end - run
      run = end
      return share
    })
    const rounds = 1 + Math.floor(random() * 4)
    const result: PlanResult = exact
      ? planExact(devices, model)
      : planManual(devices, model, { layers, rounds })
    if (!result.ok) continue
    const cost = planCost(result.plan, devices, model)
    const simulatedMs = simulateTpotMs(result.plan, devices, model)
    if (simulatedMs === null || cost.devices.every((part) => part.streamedUnits === 0)) continue
    errors.push(cost.tpotNs / 1e6 / simulatedMs - 1)
  }
  expect(errors.length).toBeGreaterThan(100)
  return errors
}

function planned(result: PlanResult): PlanResult & { ok: true } {
  if (!result.ok) throw new Error(result.message)
  return result
}

describe('the closed form, played unit by unit', () => {
  it('is what one device does: as long as it reads, or as it computes', () => {
    const { devices, model } = readExample('two-devices.json')
    for (const device of devices) {
      for (const diskReadBytesPerSec of [2e8, 1e9, 1e11]) {
        const alone = [{ ...device, diskReadBytesPerSec }]
        const { plan } = planned(planExact(alone, model))
        const simulatedMs = simulateTpotMs(plan, alone, model) ?? 0
        expect(plan.predictedTpotMs / simulatedMs).toBeCloseTo(1, 2)
      }
    }
  })

  it('is near on random plans of equal layers that stream, in one to four rounds', () => {
    const errors = errorsOf(1, true, false).map(Math.abs)
    expect(median(errors)).toBeLessThan(0.01)
    expect(errors.filter((error) => error < 0.1).length / errors.length).toBeGreaterThan(0.9)
  })

  it('is near on the plans that the planner makes of layers of two sizes', () => {
    const errors = errorsOf(2, false, true)
    expect(median(errors.map(Math.abs))).toBeLessThan(0.05)
    expect(Math.abs(median(errors))).toBeLessThan(0.03)
  })
})
