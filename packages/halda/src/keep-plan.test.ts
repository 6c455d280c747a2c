import { describe, expect, it } from 'vitest'
import { planCost } from './cost.ts'
import { readExample } from './example.fixture.ts'
import { isWorthMoving, moveMs } from './keep-plan.ts'
import { plan } from './plan.ts'
import type { DeviceId, Plan } from './types.ts'

const { devices, model } = readExample('two-devices.json')
const [alice, bob] = ['alice', 'bob'] as [DeviceId, DeviceId]
const planOf = (aliceLayers: number): Plan => {
  const windows = [
    { device: alice, firstLayer: 0, layers: aliceLayers, gpuLayers: 0 },
    { device: bob, firstLayer: aliceLayers, layers: 4 - aliceLayers, gpuLayers: 0 },
  ].filter(({ layers }) => layers > 0)
  return { head: alice, rounds: 1, windows, predictedTpotMs: 0 }
}
const priced = (current: Plan, house = devices) => {
  const cost = planCost(current, house, model)
  return { plan: { ...current, predictedTpotMs: cost.tpotNs / 1e6 }, cost }
}

describe('planning again', () => {
  it('counts what each device would have to load, all at once', () => {
    // Alice reads 1 GB/s, bob half of that.
    expect(moveMs(planOf(2), planOf(3), devices, model)).toBe(50)
    expect(moveMs(planOf(3), planOf(1), devices, model)).toBe(200)
    expect(moveMs(planOf(3), planOf(3), devices, model)).toBe(0)
    const slow = devices.map((device) => ({ ...device, downloadBytesPerSec: 1e6 }))
    expect(moveMs(planOf(2), { ...planOf(2), head: bob }, slow, model)).toBe(160_000)
  })

  it('moves layers for a gain that pays', () => {
    expect(isWorthMoving(priced(planOf(2)), priced(planOf(3)).plan, devices, model)).toBe(true)
    expect(isWorthMoving(priced(planOf(3)), priced(planOf(2)).plan, devices, model)).toBe(false)
    // 5 ms per token are worth 10 s of loading.
    const [rateThatPays, rateThatDoesNot] = [50e6 / 9.9, 50e6 / 10.1]
    for (const downloadBytesPerSec of [rateThatPays, rateThatDoesNot]) {
      const house = devices.map((device) => ({ ...device, downloadBytesPerSec }))
      expect(isWorthMoving(priced(planOf(2)), priced(planOf(3)).plan, house, model)).toBe(
        downloadBytesPerSec === rateThatPays,
      )
    }
  })

  it('moves nothing for what nobody sees', () => {
    // The same share of a token either way.
    const gainOf = (factor: number) => {
      const house = devices.map((device) => ({
        ...device,
        weightBytesPerSec: Object.fromEntries(
          Object.entries(device.weightBytesPerSec).map(([type, rate]) => [type, rate * factor]),
        ),
        hopMs: {},
        defaultHopMs: 0,
      }))
      const [current, next] = [priced(planOf(2), house), priced(planOf(3), house).plan]
      return {
        ms: current.plan.predictedTpotMs - next.predictedTpotMs,
        isWorth: isWorthMoving(current, next, house, model),
      }
    }
    expect(gainOf(1)).toEqual({ ms: 5, isWorth: true })
    expect(gainOf(4)).toEqual({ ms: 1.25, isWorth: false })
  })

  it('keeps the plan that runs while it is nearly as good, and says what it takes now', () => {
    const best = plan(devices, model)
    if (!best.ok) throw new Error(best.message)
    // Three per cent slower than what is best after bob has grown faster.
    const quicker = devices.map((device) =>
      device.device === bob ? { ...device, weightBytesPerSec: { Q4_K: 5.2e9, Q6_K: 4e9 } } : device,
    )
    const kept = plan(quicker, model, { split: 'fastest' }, { current: planOf(3) })
    expect(kept).toMatchObject({ plan: { windows: planOf(3).windows } })
    expect(kept.ok && kept.plan.predictedTpotMs).toBe(planCost(planOf(3), quicker, model).tpotNs / 1e6)
    expect(plan(devices, model, { split: 'fastest' }, { current: planOf(2) })).toEqual(best)
  })

  it('does not keep a plan whose devices are gone, that no longer fits, or that is of another model', () => {
    const best = plan(devices, model)
    const alone = devices.filter(({ device }) => device === alice)
    expect(plan(alone, model, { split: 'fastest' }, { current: planOf(3) })).toEqual(plan(alone, model))
    const small = devices.map((device) => (device.device === bob ? { ...device, memoryBytes: 20e6 } : device))
    expect(plan(small, model, { split: 'fastest' }, { current: planOf(3) })).toEqual(plan(small, model))
    const windows = [{ device: alice, firstLayer: 0, layers: 3, gpuLayers: 0 }]
    const shorter = { ...planOf(3), windows }
    expect(plan(devices, model, { split: 'fastest' }, { current: shorter })).toEqual(best)
  })
})
