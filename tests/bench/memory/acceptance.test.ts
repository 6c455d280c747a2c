import { expect, test } from 'vitest'
import { verdicts, type MemoryMeasured } from './acceptance.ts'
import type { LargeRow } from './large.ts'
import type { MmapRow } from './mmap.ts'
import type { SessionsRow } from './sessions.ts'
import { medianTurn, streamRow, type StreamRow } from './streaming.ts'

const nothing: MemoryMeasured = {
  ablation: [],
  bound: [],
  sessions: [],
  large: [],
  mmap: { rows: [], missing: null },
  budget: null,
}

const row = (changes: Partial<StreamRow>): StreamRow => ({
  tabs: 2,
  variant: 'read-ahead',
  rounds: 1,
  diskBytesPerSec: 500e6,
  tpotMs: 100,
  computeMs: 50,
  readMsPerToken: 90,
  readBytesPerSec: 500e6,
  streamedBytesPerToken: 90e6,
  waitedMsPerToken: 40,
  hiddenShare: 0.6,
  coldShare: 1,
  peakShare: 1.05,
  sameText: true,
  ...changes,
})

const judged = (measured: Partial<MemoryMeasured>) =>
  verdicts({ ...nothing, ...measured }).map(({ what, value, holds }) => [
    what,
    Number(value.toFixed(3)),
    holds,
  ])

test('what was not measured is not judged', () => {
  expect(judged({})).toEqual([])
})

test('conversations at once are judged by what a token of eight takes beside one alone, for each number of rounds', () => {
  const several = (changes: Partial<SessionsRow>): SessionsRow => ({
    tabs: 2,
    rounds: 1,
    conversations: 1,
    diskBytesPerSec: 400e6,
    tpotMs: 1000,
    tokensPerSec: 1,
    streamedBytesPerToken: 700e6,
    peakShare: 1,
    sameText: true,
    ...changes,
  })
  const sessions = [
    several({}),
    several({ conversations: 8, tpotMs: 1500 }),
    several({ rounds: 4 }),
    several({ rounds: 4, conversations: 8, tpotMs: 2500, sameText: false, peakShare: 1.2 }),
  ]
  expect(judged({ sessions })).toEqual([
    ['k = 1: a token of each of 8 ÷ of one alone', 1.5, true],
    ['k = 1: share of rows at once that say what the pinned ring says', 1, true],
    ['k = 1: most memory of a tab ÷ its budget', 1, true],
    ['k = 4: a token of each of 8 ÷ of one alone', 2.5, false],
    ['k = 4: share of rows at once that say what the pinned ring says', 0.5, false],
    ['k = 4: most memory of a tab ÷ its budget', 1.2, false],
  ])
})

test('read-ahead is judged beside none, rounds by the best of them, for each number of tabs', () => {
  const ablation = [
    row({ variant: 'pinned', tpotMs: 50, hiddenShare: null }),
    row({ variant: 'no read-ahead', tpotMs: 150 }),
    row({ tpotMs: 100 }),
    row({ rounds: 2, tpotMs: 80 }),
    row({ rounds: 4, tpotMs: 90 }),
    row({ tabs: 4, variant: 'no read-ahead', tpotMs: 100 }),
    row({ tabs: 4, tpotMs: 101 }),
  ]
  const others = judged({ ablation }).filter(([what]) => !String(what).startsWith('ms per token'))
  expect(others).toEqual([
    ['2 tabs: without read-ahead ÷ with it', 1.5, true],
    ['2 tabs: k = 1 ÷ k = 2', 1.25, true],
    ['4 tabs: without read-ahead ÷ with it', 0.99, false],
    ['share of answers that are what the pinned ring says', 1, true],
    ['most memory of a tab ÷ its budget', 1.05, true],
  ])
})

test('a token may take a fifth longer than the longer of reading and computing', () => {
  const bound = [row({ tpotMs: 107, sameText: false }), row({ tpotMs: 109, peakShare: 1.2 })]
  expect(judged({ bound })).toEqual([
    ['ms per token ÷ the longer of both: 2 tabs, k = 1, reading ÷ computing 1.80', 1.189, true],
    ['ms per token ÷ the longer of both: 2 tabs, k = 1, reading ÷ computing 1.80', 1.211, false],
    ['share of answers that are what the pinned ring says', 0.5, false],
    ['most memory of a tab ÷ its budget', 1.2, false],
  ])
})

test('where computing is the longer of both, nine tenths of the reading must be hidden; else nothing is said of it', () => {
  const hidden = (hiddenShare: number, readMsPerToken: number) =>
    judged({ bound: [row({ tpotMs: 55, readMsPerToken, hiddenShare })] }).filter(([what]) =>
      String(what).startsWith('share of reading'),
    )
  expect(hidden(0.91, 25)).toEqual([
    ['share of reading that is hidden: 2 tabs, k = 1, reading ÷ computing 0.50', 0.91, true],
  ])
  expect(hidden(0.89, 25)).toMatchObject([[expect.any(String), 0.89, false]])
  expect(hidden(0.89, 51)).toEqual([])
})

test('llama.cpp is the slower by 3 and 2, unless it was killed', () => {
  const mmap = (times: number | null, llamaTpotMs: number | null): MmapRow => ({
    type: 'Q8_0',
    times,
    weightsBytes: null,
    diskBytesPerSec: times === 3 ? 400e6 : null,
    hearthTpotMs: 100,
    hearthStreamedBytes: 0,
    hearthReadBytesPerSec: null,
    llamaTpotMs,
    hearthOwnBytes: 0,
    llamaOwnBytes: 0,
  })
  const rows = [mmap(null, 90), mmap(1.5, 290), mmap(3, 201), mmap(3, null)]
  expect(judged({ mmap: { rows, missing: null } })).toEqual([
    ['llama.cpp ÷ Hearth, the model 1.5 × the memory, the whole disk', 2.9, false],
    ['llama.cpp ÷ Hearth, the model 3 × the memory, 400 MB/s', 2.01, true],
  ])
})

test('a large model says at least 8 tokens, within its budget, and the machine stays usable', () => {
  const large: LargeRow = {
    model: 'synth:big:Q8_0',
    tabs: 4,
    budgetBytes: 2e9,
    weightBytes: 20e9,
    promptStreamedBytes: 12e9,
    streamedBytesPerToken: 12e9,
    loadMs: 1,
    ttftMs: 1,
    tpotMs: 1,
    outputTokens: 8,
    peakShare: 1,
    browserBytes: null,
    pressure: null,
    lateness: { medianMs: 1, worstMs: 250 },
    sameText: null,
    pinnedTpotMs: null,
  }
  expect(judged({ large: [large] })).toEqual([
    ['synth:big:Q8_0: tokens', 8, true],
    ['synth:big:Q8_0: most memory of a tab ÷ its budget', 1, true],
    ['synth:big:Q8_0: a timer of 50 ms is late at worst, ms', 250, false],
  ])
  expect(judged({ large: [{ ...large, sameText: false }] })[0]).toEqual([
    'synth:big:Q8_0: same words as pinned',
    0,
    false,
  ])
})

test('memory may be 2 % more or less after budgets have moved', () => {
  const budget = { tokens: 200, moves: 9, sameText: true, memoryShare: 0.97, realShare: 1.019 }
  expect(judged({ budget })).toEqual([
    ['moving budgets: same words', 1, true],
    ['moving budgets: engine memory after and before differ by', 0.03, false],
    ['moving budgets: browsers after and before differ by', 0.019, true],
  ])
})

test('a row tells of the tab that reads longest, and of all tabs what they stream and wait', () => {
  const stream = (readingMsPerToken: number, waitedMsPerToken: number, coldShare: number | null) => ({
    name: 'bob',
    streamedBytesPerToken: 10 * readingMsPerToken,
    waitedMsPerToken,
    readingMsPerToken,
    readBytesPerSec: 10_000 * readingMsPerToken,
    coldShare,
  })
  const answer = (streams: ReturnType<typeof stream>[]) => ({
    text: 'yes',
    stats: {
      ttftMs: 1,
      tpotMs: 100,
      tripMs: 100,
      promptTokens: 1,
      cachedTokens: 0,
      outputTokens: 9,
      draftedTokens: 0,
      acceptedTokens: 0,
      stop: 'length' as const,
    },
    promptStreams: [],
    streams,
    devices: [],
    lateness: null,
  })
  const circumstances = { tabs: 2, variant: 'read-ahead', rounds: 1, diskBytesPerSec: 5, text: 'no' } as const
  const pinned = answer([])
  expect(
    streamRow({ ...circumstances, pinned }, answer([stream(30, 10, null), stream(70, 15, 0.5)])),
  ).toMatchObject({
    readMsPerToken: 70,
    readBytesPerSec: 700_000,
    streamedBytesPerToken: 1000,
    waitedMsPerToken: 25,
    hiddenShare: 0.75,
    coldShare: 0.5,
    sameText: false,
  })
})

test('of several turns the one stands whose share of its bound is the median, and a wrong word or too much memory in any', () => {
  const turns = [
    row({ tpotMs: 200, computeMs: 100, peakShare: 1.2 }),
    row({ tpotMs: 110, computeMs: 100 }),
    row({ tpotMs: 168, computeMs: 150, sameText: false }),
  ]
  expect(medianTurn(turns)).toMatchObject({ tpotMs: 168, computeMs: 150, peakShare: 1.2, sameText: false })
})
