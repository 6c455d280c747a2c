import { describe, expect, it } from 'vitest'
import { defaultGpuBudget, defaultMemoryBudget } from './features.ts'

const mac =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.4 Safari/605.1.15'
const android = 'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/143.0.0.0 Mobile Safari/537.36'
const windows = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/143.0.0.0 Safari/537.36'

describe('the memory that a device offers until a person says otherwise', () => {
  it.each([
    ['a laptop whose memory nobody tells', { userAgent: mac, maxTouchPoints: 0 }, 2],
    ['a laptop of 8 GB or more', { userAgent: windows, maxTouchPoints: 0, deviceMemory: 8 }, 3.5],
    ['a small laptop', { userAgent: windows, maxTouchPoints: 10, deviceMemory: 4 }, 2],
    ['a phone', { userAgent: android, maxTouchPoints: 5, deviceMemory: 8 }, 1],
    ['a small phone', { userAgent: android, maxTouchPoints: 5, deviceMemory: 1 }, 0.5],
    ['a tablet that says it is a Mac', { userAgent: mac, maxTouchPoints: 5 }, 1],
  ])('is careful: %s', (_, device, gibibytes) => {
    expect(defaultMemoryBudget(device)).toBe(gibibytes * 2 ** 30)
  })

  it('is a quarter as much on the GPU, and none on phones and tablets', () => {
    expect(defaultGpuBudget({ userAgent: windows, maxTouchPoints: 10, deviceMemory: 8 })).toBe(
      0.875 * 2 ** 30,
    )
    expect(defaultGpuBudget({ userAgent: android, maxTouchPoints: 5, deviceMemory: 8 })).toBe(0)
    expect(defaultGpuBudget({ userAgent: mac, maxTouchPoints: 5 })).toBe(0)
  })
})
