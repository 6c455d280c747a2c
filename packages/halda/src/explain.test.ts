import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readExample } from './example.fixture.ts'
import { explain, formatExplanation } from './explain.ts'
import { planExact } from './solve-exact.ts'
import { planManual } from './solve-manual.ts'
import type { DeviceProfile, ModelProfile, PlanResult } from './types.ts'

function explained(result: PlanResult, devices: DeviceProfile[], model: ModelProfile) {
  if (!result.ok) throw new Error(result.message)
  return explain(result.plan, devices, model)
}

describe('an explanation', () => {
  it('is the table of the README for its worked example', () => {
    const { devices, model } = readExample('two-devices.json')
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
    expect(readme).toContain(formatExplanation(explained(planExact(devices, model), devices, model)))
  })

  it('adds up to the predicted time per token', () => {
    const { devices, model } = readExample('household-llama-3-8b.json')
    const result = planManual(devices, model, { layers: [12, 14, 4, 2], rounds: 2 })
    const { devices: rows, tpotMs, hops } = explained(result, devices, model)
    const sum = rows.reduce((total, row) => total + row.computeMs + row.outputMs + row.hopMs + row.waitMs, 0)
    expect(sum).toBeCloseTo(tpotMs, 9)
    expect(hops).toBe(rows.reduce((total, row) => total + row.hops, 0))
    expect(rows.map(({ windows }) => windows)).toEqual([
      '0–5, 16–21',
      '6–12, 22–28',
      '13–14, 29–30',
      '15, 31',
    ])
  })

  it('says what a device without a part would cost, and what one with a part is worth', () => {
    const { devices, model } = readExample('household-llama-3-8b.json')
    const best = planExact(devices, model)
    const whys = explained(best, devices, model).devices.map(({ why }) => why)
    const tpotMs = best.ok ? best.plan.predictedTpotMs : 0
    const [, desktop, tablet] = devices
    const withoutDesktop = planExact(
      devices.filter((device) => device !== desktop),
      model,
    )
    const more = withoutDesktop.ok ? withoutDesktop.plan.predictedTpotMs - tpotMs : 0
    expect(whys[1]).toBe(`without it a token would take ${more.toFixed(1)} ms more`)
    expect(whys[2]).toMatch(/^with a part for it a token would take [\d.]+ ms more$/)

    const tiny = devices.map((device) => (device === tablet ? { ...device, memoryBytes: 20e6 } : device))
    const tabletRow = explained(planExact(tiny, model), tiny, model).devices[2]
    expect(tabletRow?.why).toBe('no part of this model fits in its memory')
  })

  it('shares out the whole token, waits for a store included, and says what more memory would save', () => {
    const { devices, model } = readExample('two-devices.json')
    const short = devices.map((device) => ({ ...device, memoryBytes: 140e6 }))
    const result = planManual(short, model, { layers: [2, 2] })
    const { devices: rows, tpotMs } = explained(result, short, model)
    expect(rows.reduce((total, row) => total + row.share, 0)).toBeCloseTo(1, 9)
    const [alice] = rows
    // Two layers and two pieces of the output, in a memory of two.
    expect(alice).toMatchObject({ isHead: true, pinned: 0, streamed: 4, filledBytes: 140e6 })
    expect(alice?.waitMs).toBeGreaterThan(0)
    expect(alice?.memoryAdvice).toMatch(/^with 279 MB a token would take [\d.]+ ms less$/)
    const [withMore] = [planExact([{ ...devices[0]!, memoryBytes: 278_777_216 }, short[1]!], model)]
    const saved = withMore.ok ? tpotMs - withMore.plan.predictedTpotMs : 0
    expect(alice?.memoryAdvice).toContain(`${saved.toFixed(1)} ms less`)
    expect(rows[1]).toMatchObject({ streamed: 0, memoryAdvice: null })
  })

  it('says which rates were assumed', () => {
    const { devices, model } = readExample('household-llama-3-8b.json')
    const [laptop, ...others] = devices
    if (!laptop) throw new Error('the household has a laptop')
    const unmeasured = [{ ...laptop, weightBytesPerSec: { Q4_K: 14e9 } }, ...others]
    expect(explained(planExact(unmeasured, model), unmeasured, model).notes).toEqual([
      'laptop-alice has not measured F32, Q6_K; the slowest of its measured rates is taken instead.',
    ])
    expect(explained(planExact(devices, model), devices, model).notes).toEqual([])
  })
})
