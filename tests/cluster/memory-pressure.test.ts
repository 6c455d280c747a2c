import { expect, test } from 'vitest'
import { parseMeminfo, watchPressure } from './memory-pressure.ts'

test('available and total memory are read from what Linux says', () => {
  const text = 'MemTotal:       24684096 kB\nMemFree:          100 kB\nMemAvailable:   23268000 kB\n'
  expect(parseMeminfo(text)).toEqual({ totalBytes: 24684096 * 1024, availableBytes: 23268000 * 1024 })
})

test('pressure is the largest drop, also when it is over; null where nobody says what is available', () => {
  let availableBytes = 800
  const watch = watchPressure(() => ({ totalBytes: 1000, availableBytes }))
  expect(watch.pressure()).toBe(0)
  availableBytes = 550
  expect(watch.pressure()).toBe(0.25)
  availableBytes = 900
  expect(watch.pressure()).toBe(0.25)
  watch.stop()
  expect(watchPressure(() => null).pressure()).toBeNull()
})
