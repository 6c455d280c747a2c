import { describe, expect, it } from 'vitest'
import { readExample } from '../example.fixture.ts'
import { createRandom, randomDevices, randomModel } from '../random-cluster.fixture.ts'
import { planExact } from '../solve-exact.ts'
import type { DeviceId } from '../types.ts'
import { planPaper, toPaperProblem } from './plan-paper.ts'

const { devices, model } = readExample('household-llama-3-8b.json')
const roomy = devices.map((device) => ({ ...device, memoryBytes: device.memoryBytes * 2 }))

describe('the published planner on measured profiles', () => {
  it('sees the mean layer, the budget less the buffer, and the default hop', () => {
    const { devices: paperDevices, ...problem } = toPaperProblem(devices, model)
    expect(problem.layerMemoryBytes - problem.layerBytes).toBe(model.kvBytesPerPosition * model.contextLength)
    const total = model.layerBytes
      .flatMap((layer) => Object.values(layer))
      .reduce((sum, each) => sum + each, 0)
    expect(problem.layerBytes * 32).toBeCloseTo(total, 3)
    expect(paperDevices[1]).toMatchObject({
      name: 'desktop-bob',
      xiMs: 3,
      ramBytes: 3e9,
      diskBytesPerSec: 1.5e9,
    })
  })

  it('plans for the head given, and never faster than the exact planner', async () => {
    const best = planExact(roomy, model)
    for (const { device } of roomy) {
      const result = await planPaper(roomy, model, device)
      if (!result.ok) continue
      expect(result.plan.head).toBe(device)
      expect(result.plan.windows.reduce((sum, { layers }) => sum + layers, 0)).toBe(32)
      expect(result.plan.predictedTpotMs).toBeGreaterThanOrEqual(
        best.ok ? best.plan.predictedTpotMs : Infinity,
      )
    }
    expect(await planPaper(roomy, model)).toMatchObject({ ok: true, plan: { head: 'laptop-alice' } })
  })

  it(
    'is never faster than the exact planner on 500 random clusters, whole or short of memory',
    { timeout: 180_000 },
    async () => {
      const random = createRandom(41)
      const slower: number[] = []
      const seen = { clusters: 0, asFast: 0, refused: 0 }
      for (let trial = 0; trial < 500; trial++) {
        const cluster = randomModel(random, 8 + Math.floor(random() * 33))
        const house = randomDevices(random, 2 + Math.floor(random() * 5), cluster, 0.05 + random())
        const best = planExact(house, cluster)
        const paper = await planPaper(house, cluster)
        if (!best.ok) {
          expect(paper.ok).toBe(false)
          continue
        }
        seen.clusters++
        const ratio = paper.ok ? paper.plan.predictedTpotMs / best.plan.predictedTpotMs : NaN
        if (paper.ok) expect(ratio).toBeGreaterThanOrEqual(1)
        if (ratio > 1) slower.push(ratio - 1)
        else if (paper.ok) seen.asFast++
        else seen.refused++
      }
      const median = slower.toSorted((a, b) => a - b)[slower.length >> 1] ?? 0
      console.log(
        `Of ${seen.clusters} clusters the paper is slower on ${slower.length}, by ${(100 * median).toFixed(1)} % in the median, as fast on ${seen.asFast}, without a plan on ${seen.refused}.`,
      )
      expect(slower.length).toBeGreaterThan(100)
    },
  )

  it('says so when it would overload a device, has no answer, or is given no such head', async () => {
    const overloaded = devices.map((device) => ({ ...device, memoryBytes: device.memoryBytes / 4 }))
    expect(await planPaper(overloaded, model)).toMatchObject({
      code: 'no-plan',
      message: expect.stringMatching(/ cannot hold \d+ layers/),
    })
    expect(await planPaper(devices, model, 'dave' as DeviceId)).toMatchObject({ code: 'no-plan' })
    expect(await planPaper([], model)).toMatchObject({ code: 'no-plan' })
  })
})
