import { describe, expect, it } from 'vitest'
import { measuredMs, recordAfter, type TrackRecord } from './track-record.ts'

const stats = (tripMs: number, outputTokens = 20) => ({
  ttftMs: 400,
  tpotMs: 7,
  tripMs,
  promptTokens: 9,
  cachedTokens: 0,
  outputTokens,
  draftedTokens: 40,
  acceptedTokens: 0,
  stop: 'end' as const,
})
const after = (plan: number, ...tpotMs: number[]) =>
  tpotMs.reduce<TrackRecord | null>((record, ms) => recordAfter(record, plan, stats(ms)), null)

describe('the record of what answers took', () => {
  it('keeps the last five of one plan, and says the middle one', () => {
    const record = after(1, 90, 50, 52, 51, 80, 49)
    expect(record).toEqual({ plan: 1, tpotMs: [50, 52, 51, 80, 49] })
    expect(measuredMs(record, 1)).toBe(51)
  })

  it('begins anew with another plan, and says nothing of it before', () => {
    const record = after(1, 50, 51)
    expect(measuredMs(record, 2)).toBeNull()
    expect(recordAfter(record, 2, stats(30))).toEqual({ plan: 2, tpotMs: [30] })
    expect(measuredMs(null, 1)).toBeNull()
  })

  it('leaves out answers of a few words', () => {
    expect(recordAfter(null, 1, stats(50, 7))).toBeNull()
    expect(recordAfter(after(1, 40), 1, stats(50, 7))).toEqual({ plan: 1, tpotMs: [40] })
  })

  it('leaves out answers without a trip of one token alone', () => {
    expect(recordAfter(after(1, 40), 1, stats(0))).toEqual({ plan: 1, tpotMs: [40] })
  })
})
