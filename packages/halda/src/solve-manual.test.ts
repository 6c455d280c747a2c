import { describe, expect, it } from 'vitest'
import { planCost } from './cost.ts'
import { createRandom, randomDevices, randomModel } from './random-cluster.fixture.ts'
import { planExact } from './solve-exact.ts'
import { planManual } from './solve-manual.ts'
import type { DeviceId, DeviceProfile, Plan, PlanResult } from './types.ts'

const names = ['alice', 'bob', 'charlie'] as DeviceId[]
const random = createRandom(11)
const model = randomModel(random, 10)
const devices: DeviceProfile[] = randomDevices(random, 3, model, 4).map((device, index) => ({
  ...device,
  device: names[index] ?? device.device,
  memoryBytes: 64e9,
  hopMs: {},
}))
const [alice, bob] = names

const planOf = (result: PlanResult): Plan => {
  if (!result.ok) throw new Error(result.message)
  return result.plan
}
const messageOf = (result: PlanResult): string => (result.ok ? 'a plan' : result.message)

const ordersOf = <T>(items: readonly T[]): T[][] =>
  items.length === 0
    ? [[]]
    : items.flatMap((item) =>
        ordersOf(items.filter((other) => other !== item)).map((rest) => [item, ...rest]),
      )

const windowsOf = (plan: Plan) =>
  plan.windows.map(({ device, firstLayer, layers }) => `${device} ${firstLayer}+${layers}`)

describe('the manual planner', () => {
  it('gives each device the layers asked for, in the order of the devices', () => {
    const plan = planOf(planManual(devices, model, { layers: [5, 0, 5] }))
    expect(windowsOf(plan)).toEqual(['alice 0+5', 'charlie 5+5'])
    expect(planManual(devices, model, { layers: { charlie: 5, alice: 5 } })).toEqual({ ok: true, plan })
  })

  it('spreads the layers over rounds that do not divide them', () => {
    const plan = planOf(planManual(devices, model, { layers: [5, 1, 4], rounds: 3, head: bob as DeviceId }))
    expect(windowsOf(plan)).toEqual([
      'alice 0+1',
      'charlie 1+1',
      'alice 2+2',
      'charlie 4+1',
      'alice 5+2',
      'bob 7+1',
      'charlie 8+2',
    ])
    expect(plan).toMatchObject({ head: bob, rounds: 3 })
  })

  describe('with layers on GPUs', () => {
    const gpu = { memoryBytes: 64e9, weightBytesPerSec: { Q4_K: 9e10 }, copyMs: 0.1 }
    const withGpu = devices.map((each) => (each.device === alice ? { ...each, gpu } : each))

    it('puts the last ones of each window there', () => {
      const plan = planOf(planManual(withGpu, model, { layers: [6, 4, 0], gpuLayers: [3, 0], rounds: 2 }))
      expect(plan.windows).toEqual([
        { device: alice, firstLayer: 0, layers: 3, gpuLayers: 2 },
        { device: bob, firstLayer: 3, layers: 2, gpuLayers: 0 },
        { device: alice, firstLayer: 5, layers: 3, gpuLayers: 1 },
        { device: bob, firstLayer: 8, layers: 2, gpuLayers: 0 },
      ])
      expect(plan.predictedTpotMs).toBe(planCost(plan, withGpu, model).tpotNs / 1e6)
      const named = { layers: { alice: 6, bob: 4 }, gpuLayers: { alice: 3 }, rounds: 2 }
      expect(planManual(withGpu, model, named)).toEqual({ ok: true, plan })
    })

    it.each([
      [{ layers: [6, 4, 0], gpuLayers: [0, 1] }, 'bob cannot run 1 layers on a GPU: it has no GPU'],
      [{ layers: [6, 4, 0], gpuLayers: [7] }, 'Of the 6 layers of alice a whole number from 0 to 6'],
      [{ layers: [6, 4, 0], gpuLayers: [1.5] }, 'not 1.5'],
      [{ layers: [6, 4, 0], gpuLayers: { eve: 1 } }, 'Layers are given to eve'],
      [{ layers: [6, null, 0], gpuLayers: [1] }, '4 of 10 layers are left to the planner'],
    ])('says what is wrong with %j', (request, sentence) => {
      expect(messageOf(planManual(withGpu, model, request))).toContain(sentence)
    })

    it('says when a GPU is too small', () => {
      const short = withGpu.map((each) => (each.gpu ? { ...each, gpu: { ...gpu, memoryBytes: 1 } } : each))
      const result = planManual(short, model, { layers: [6, 4, 0], gpuLayers: [1] })
      expect(messageOf(result)).toContain('no GPU with room for one')
    })
  })

  it('covers every layer once for any shares and rounds', () => {
    for (let rounds = 1; rounds <= model.nLayers; rounds++) {
      for (const layers of [[10], [4, 3, 3], [1, 8, 1], [0, 5, 5], [9, 0, 1]]) {
        const plan = planOf(planManual(devices, model, { layers, rounds }))
        let next = 0
        for (const window of plan.windows) {
          expect(window.firstLayer).toBe(next)
          next += window.layers
        }
        expect(next).toBe(model.nLayers)
        for (const [index, device] of names.entries()) {
          const own = plan.windows.filter((window) => window.device === device).map((window) => window.layers)
          expect(own.reduce((sum, each) => sum + each, 0)).toBe(layers[index] ?? 0)
          if (own.length === rounds) expect(Math.max(...own) - Math.min(...own)).toBeLessThanOrEqual(1)
        }
        const cost = planCost(plan, devices, model)
        expect(plan.predictedTpotMs).toBe(cost.tpotNs / 1e6)
      }
    }
  })

  it('finds the head with the lowest TPOT, and never beats the exact planner', () => {
    const free = planOf(planManual(devices, model, { layers: [4, 3, 3] }))
    for (const head of names) {
      const fixed = planOf(planManual(devices, model, { layers: [4, 3, 3], head }))
      expect(fixed.predictedTpotMs).toBeGreaterThanOrEqual(free.predictedTpotMs)
    }
    expect(free.predictedTpotMs).toBeGreaterThanOrEqual(planOf(planExact(devices, model)).predictedTpotMs)
  })

  it('fills in the devices that are not named as well as can be, in the rounds asked for', () => {
    const free = planOf(planManual(devices, model, { layers: { bob: 4 }, rounds: 2 }))
    expect(free.rounds).toBe(2)
    let best = Infinity
    for (const order of ordersOf(devices)) {
      for (let ofAlice = 0; ofAlice <= 6; ofAlice++) {
        const layers = { alice: ofAlice, bob: 4, charlie: 6 - ofAlice }
        if (Object.values(layers).includes(1)) continue
        const plan = planOf(planManual(order, model, { layers, rounds: 2 }))
        best = Math.min(best, plan.predictedTpotMs)
      }
    }
    expect(free.predictedTpotMs).toBe(best)
    const fixed = planOf(planManual(devices, model, { layers: [null, 4, 6], head: alice as DeviceId }))
    expect(windowsOf(fixed).toSorted()).toEqual(['bob 0+4', 'charlie 4+6'].toSorted())
  })

  it('says when what is left does not fit', () => {
    const small = devices.map((device) => (device.device === bob ? device : { ...device, memoryBytes: 17e6 }))
    const refusal = planManual(small, model, { layers: { bob: 3 } })
    expect(messageOf(refusal)).toMatch(/^7 of 10 layers are left for alice, charlie; with the 3 given/)
  })

  it('says which device cannot hold its share, and how much it lacks', () => {
    const small = devices.map((device) =>
      device.device === bob ? { ...device, memoryBytes: 100e6 } : device,
    )
    const refusal = planManual(small, model, { layers: [1, 8, 1], head: alice as DeviceId })
    expect(refusal).toMatchObject({ ok: false, code: 'no-plan' })
    expect(messageOf(refusal)).toMatch(
      /^bob cannot hold 8 layers: that takes at least [\d.]+ [MG]B and it offers 100 MB\./,
    )
    const tiny = devices.map((device) => (device.device === bob ? { ...device, memoryBytes: 20e6 } : device))
    const asHead = messageOf(planManual(tiny, model, { layers: [5, 0, 5], head: bob as DeviceId }))
    expect(asHead).toMatch(/^bob cannot hold 0 layers and the head: /)
  })

  it.each([
    [{ layers: [5, 4, 0] }, 'add up to 9, but random has 10'],
    [{ layers: [5, 2.5, 2.5] }, 'whole number of layers from 0 up, not 2.5'],
    [{ layers: [11, -1] }, 'whole number of layers from 0 up, not -1'],
    [{ layers: [5, 5, 0, 0] }, 'given for 4 devices, but there are 3'],
    [{ layers: { alice: 5, dave: 5 } }, 'given to dave'],
    [{ layers: [5, 5], head: 'dave' as DeviceId }, 'head dave is not among'],
    [{ layers: [5, 5], rounds: 0 }, '1 to 10 rounds of the ring, not 0'],
    [{ layers: [5, 5], rounds: 11 }, '1 to 10 rounds of the ring, not 11'],
  ])('refuses %j with a sentence', (request, sentence) => {
    expect(messageOf(planManual(devices, model, request))).toContain(sentence)
  })
})
