import { expect, test } from 'vitest'
import { streamFigures } from './answer-figures.ts'
import type { DeviceFigures } from './device-figures.ts'

const device = (changes: Partial<DeviceFigures>): DeviceFigures => ({
  name: 'bob',
  layers: 8,
  gpuLayers: 0,
  head: false,
  weightBytes: 0,
  memoryBytes: 0,
  peakMemoryBytes: 0,
  downloadedBytes: 0,
  budgetBytes: 0,
  streamedLayers: 4,
  streamedLayerBytes: 100,
  streamWaitMs: 10,
  readBytes: 1000,
  readingMs: 50,
  realResidentBytes: null,
  realPeakBytes: null,
  diskReadBytes: null,
  ...changes,
})

test('an answer is told by what happened during it, per pass', () => {
  const after = device({ streamWaitMs: 30, readBytes: 3000, readingMs: 150 })
  expect(streamFigures(device({}), after, 10)).toEqual({
    name: 'bob',
    streamedBytesPerToken: 200,
    waitedMsPerToken: 2,
    readingMsPerToken: 10,
    readBytesPerSec: 20_000,
    coldShare: null,
  })
})

test('what the page cache gave is not cold, and what was read beside layers does not count twice', () => {
  const before = device({ diskReadBytes: 500 })
  const share = (diskReadBytes: number) =>
    streamFigures(before, device({ readBytes: 2000, readingMs: 99, diskReadBytes }), 1).coldShare
  expect(share(750)).toBe(0.25)
  expect(share(9999)).toBe(1)
})

test('where nothing streams there is no read speed', () => {
  expect(streamFigures(device({}), device({}), 4)).toMatchObject({ readBytesPerSec: null, coldShare: null })
})
