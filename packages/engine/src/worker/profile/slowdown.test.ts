import type { DeviceId, DeviceProfile } from '@hearth/halda'
import { describe, expect, it } from 'vitest'
import { createHeat, slowdownOf, slowed } from './slowdown.ts'

const fine = { isHidden: false, isBatteryLow: false }

describe('a slowdown', () => {
  it('is none in sight, charged and cool', () => {
    expect(slowdownOf(fine, 1)).toBeUndefined()
  })

  it('multiplies what makes a device slower, and names it', () => {
    expect(slowdownOf({ ...fine, isHidden: true }, 1)).toEqual({ factor: 2, reasons: ['hidden'] })
    expect(slowdownOf({ isHidden: true, isBatteryLow: true }, 1.4)).toEqual({
      factor: 3.5,
      reasons: ['hidden', 'battery', 'heat'],
    })
  })

  it('lowers rates and raises times of computing, and leaves memory, disk and hops', () => {
    const profile: DeviceProfile = {
      device: 'alice' as DeviceId,
      memoryBytes: 1e9,
      weightBytesPerSec: { Q8_0: 8e9 },
      prefillBytesPerSec: { Q8_0: 4e10 },
      kvReadBytesPerSec: 6e9,
      layerFixedMs: 0.1,
      kvAppendMs: 0.01,
      headFixedMs: 0.2,
      diskReadBytesPerSec: 1e9,
      hopMs: { bob: 2 },
      defaultHopMs: 2,
      gpu: {
        memoryBytes: 5e8,
        weightBytesPerSec: { Q8_0: 4e10 },
        prefillBytesPerSec: { Q8_0: 4e11 },
        copyMs: 0.5,
      },
    }
    const slowdown = { factor: 2, reasons: ['hidden' as const] }
    expect(slowed(profile, slowdown)).toEqual({
      ...profile,
      slowdown,
      weightBytesPerSec: { Q8_0: 4e9 },
      prefillBytesPerSec: { Q8_0: 2e10 },
      kvReadBytesPerSec: 3e9,
      layerFixedMs: 0.2,
      kvAppendMs: 0.02,
      headFixedMs: 0.4,
      gpu: {
        memoryBytes: 5e8,
        weightBytesPerSec: { Q8_0: 2e10 },
        prefillBytesPerSec: { Q8_0: 2e11 },
        copyMs: 1,
      },
    })
    expect(slowed(profile, undefined)).toBe(profile)
  })
})

describe('heat', () => {
  const noteMany = (heat: ReturnType<typeof createHeat>, layerMs: number) => {
    for (let token = 0; token < 100; token++) heat.note(layerMs)
  }

  it('is what layers take now over what they took at their fastest', () => {
    const heat = createHeat(() => 0)
    expect(heat.factor()).toBe(1)
    noteMany(heat, 2)
    expect(heat.factor()).toBe(1)
    noteMany(heat, 3.2)
    expect(heat.factor()).toBe(1.6)
    noteMany(heat, 2.1)
    expect(heat.factor()).toBe(1)
  })

  it('is not found in one slow token, nor in a little more time', () => {
    const heat = createHeat(() => 0)
    noteMany(heat, 2)
    for (let token = 0; token < 100; token++) heat.note(token % 3 === 0 ? 50 : 2.2)
    expect(heat.factor()).toBe(1)
  })

  it('goes away with rest, and with another model', () => {
    let nowMs = 0
    const heat = createHeat(() => nowMs)
    noteMany(heat, 2)
    noteMany(heat, 4)
    expect(heat.factor()).toBe(2)
    nowMs += 121_000
    expect(heat.factor()).toBe(1)
    nowMs = 0
    heat.reset()
    noteMany(heat, 4)
    expect(heat.factor()).toBe(1)
  })
})
