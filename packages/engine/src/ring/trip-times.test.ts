import { describe, expect, it } from 'vitest'
import { createTripTimes, draftLength } from './trip-times.ts'

/** Trips of 1, 4 and 8 rows take so long. */
const trips = (one: number, four: number | null, eight: number | null) => (rows: number) =>
  rows === 1 ? one : rows === 4 ? four : rows === 8 ? eight : null

describe('how many guesses go behind a token', () => {
  it('is as many as may, where rows cost nothing and guesses come true', () => {
    expect(draftLength(0.9, 7, trips(100, 100, 100))).toBe(7)
    expect(draftLength(0.3, 7, trips(100, 100, 100))).toBe(7)
  })

  it('is fewer where the context or the answer ends, and where longer trips do not pay', () => {
    expect(draftLength(0.9, 6, trips(100, 100, 100))).toBe(3)
    expect(draftLength(0.9, 2, trips(100, 100, 100))).toBe(0)
    // 3.4 tokens in 110 ms, 5.7 in 300.
    expect(draftLength(0.9, 7, trips(100, 110, 300))).toBe(3)
  })

  it('is none where a busy processor takes three times as long for four rows, unless nearly all come true', () => {
    expect(draftLength(0.5, 7, trips(50, 150, 330))).toBe(0)
    expect(draftLength(0.75, 7, trips(50, 150, 330))).toBe(0)
    expect(draftLength(0.92, 7, trips(50, 150, 330))).toBe(3)
  })

  it('is none where hardly a guess comes true and a row costs a little', () => {
    expect(draftLength(0.02, 7, trips(100, 103, 107))).toBe(0)
  })

  it('is none until a token alone was timed', () => {
    expect(draftLength(0.9, 7, () => null)).toBe(0)
  })

  it('is tried once where it is not known, the shorter one first, and only where guesses come true', () => {
    expect(draftLength(0.5, 7, trips(100, null, null))).toBe(3)
    expect(draftLength(0.4, 7, trips(100, null, null))).toBe(0)
    expect(draftLength(0.8, 7, trips(100, 120, null))).toBe(7)
    expect(draftLength(0.8, 7, trips(100, 390, null))).toBe(0)
    expect(draftLength(0.4, 7, trips(100, 120, null))).toBe(3)
  })
})

describe('trip times', () => {
  it('are the medians of the last five with so many rows', () => {
    const { note, tripMs } = createTripTimes()
    expect(tripMs(1)).toBeNull()
    for (const ms of [900, 10, 11, 12, 13, 500]) note(1, ms)
    note(4, 30)
    expect([tripMs(1), tripMs(4), tripMs(8)]).toEqual([12, 30, null])
  })

  it('are found out again after many trips of one token', () => {
    const { note, tripMs } = createTripTimes()
    note(4, 300)
    for (let i = 0; i < 127; i++) note(1, 10)
    expect(tripMs(4)).toBe(300)
    note(1, 10)
    expect(tripMs(4)).toBeNull()
    expect(tripMs(1)).toBe(10)
  })
})
