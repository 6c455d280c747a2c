/**
 * What a model larger than the memory in the room must reach.
 *
 * @module
 */
import { atLeast, atMost, type Verdict } from '../verdict.ts'
import type { LargeRow } from './large.ts'
import type { MmapReport } from './mmap.ts'
import type { MovingBudget } from './moving-budget.ts'
import type { SessionsRow } from './sessions.ts'
import { boundMs, type StreamRow } from './streaming.ts'

export type MemoryMeasured = {
  ablation: readonly StreamRow[]
  bound: readonly StreamRow[]
  sessions: readonly SessionsRow[]
  large: readonly LargeRow[]
  mmap: MmapReport
  budget: MovingBudget | null
}

const mostTpotPerBound = 1.2
const leastHidden = 0.9
/** A token of each of eight conversations beside one of a conversation alone: reading is shared, computing is not. */
const mostTpotOfEight = 2
const mostPeakShare = 1.1
const mostLateMs = 200
/** What earns its place makes a token at least so much faster. */
const worthIts = 1.02
const leastAgainstMmap: Readonly<Record<string, number>> = { 1.5: 3, 3: 2 }
const memoryTolerance = 0.02

/** A verdict on everything that was measured, and on nothing else. */
export function verdicts({ ablation, bound, sessions, large, mmap, budget }: MemoryMeasured): Verdict[] {
  return [
    ...judgeAblation(ablation),
    ...[...ablation, ...bound].flatMap(judgeBound),
    ...judgeTabs([...ablation, ...bound]),
    ...judgeSessions(sessions),
    ...large.flatMap(judgeLarge),
    ...mmap.rows.flatMap(({ times, diskBytesPerSec, hearthTpotMs, llamaTpotMs }) => {
      const limit = leastAgainstMmap[String(times)]
      if (limit === undefined || llamaTpotMs === null) return []
      return [
        atLeast(
          `llama.cpp ÷ Hearth, the model ${times} × the memory, ${diskBytesPerSec === null ? 'the whole disk' : `${diskBytesPerSec / 1e6} MB/s`}`,
          llamaTpotMs / hearthTpotMs,
          limit,
        ),
      ]
    }),
    ...(budget ? judgeBudget(budget) : []),
  ]
}

function judgeAblation(rows: readonly StreamRow[]): Verdict[] {
  return [...new Set(rows.map(({ tabs }) => tabs))].flatMap((tabs) => {
    const here = rows.filter((row) => row.tabs === tabs)
    const without = here.find(({ variant }) => variant === 'no read-ahead')
    const ahead = here.filter(({ variant }) => variant === 'read-ahead')
    const once = ahead.find(({ rounds }) => rounds === 1)
    const more = ahead.filter(({ rounds }) => rounds > 1).toSorted((a, b) => a.tpotMs - b.tpotMs)[0]
    return [
      ...(without && once
        ? [atLeast(`${tabs} tabs: without read-ahead ÷ with it`, without.tpotMs / once.tpotMs, worthIts)]
        : []),
      ...(once && more
        ? [atLeast(`${tabs} tabs: k = 1 ÷ k = ${more.rounds}`, once.tpotMs / more.tpotMs, worthIts)]
        : []),
    ]
  })
}

function judgeBound(row: StreamRow): Verdict[] {
  if (row.variant !== 'read-ahead') return []
  const where = `${row.tabs} tabs, k = ${row.rounds}, reading ÷ computing ${(row.readMsPerToken / row.computeMs).toFixed(2)}`
  return [
    atMost(`ms per token ÷ the longer of both: ${where}`, row.tpotMs / boundMs(row), mostTpotPerBound),
    ...(row.hiddenShare !== null && row.computeMs > row.readMsPerToken
      ? [atLeast(`share of reading that is hidden: ${where}`, row.hiddenShare, leastHidden)]
      : []),
  ]
}

function judgeTabs(rows: readonly StreamRow[]): Verdict[] {
  if (rows.length === 0) return []
  const same = rows.filter(({ sameText }) => sameText).length / rows.length
  return [
    atLeast('share of answers that are what the pinned ring says', same, 1),
    atMost('most memory of a tab ÷ its budget', Math.max(...rows.map((row) => row.peakShare)), mostPeakShare),
  ]
}

function judgeSessions(rows: readonly SessionsRow[]): Verdict[] {
  return [...new Set(rows.map(({ rounds }) => rounds))].flatMap((k) => {
    const here = rows.filter(({ rounds }) => rounds === k)
    const [one, eight] = [1, 8].map((n) => here.find(({ conversations }) => conversations === n))
    const same = here.filter(({ sameText }) => sameText).length / here.length
    return [
      ...(one && eight
        ? [
            atMost(
              `k = ${k}: a token of each of 8 ÷ of one alone`,
              eight.tpotMs / one.tpotMs,
              mostTpotOfEight,
            ),
          ]
        : []),
      atLeast(`k = ${k}: share of rows at once that say what the pinned ring says`, same, 1),
      atMost(
        `k = ${k}: most memory of a tab ÷ its budget`,
        Math.max(...here.map((row) => row.peakShare)),
        mostPeakShare,
      ),
    ]
  })
}

function judgeLarge({ model, sameText, peakShare, lateness, outputTokens }: LargeRow): Verdict[] {
  return [
    ...(sameText === null ? [] : [atLeast(`${model}: same words as pinned`, Number(sameText), 1)]),
    atLeast(`${model}: tokens`, outputTokens, 8),
    atMost(`${model}: most memory of a tab ÷ its budget`, peakShare, mostPeakShare),
    atMost(`${model}: a timer of 50 ms is late at worst, ms`, lateness.worstMs, mostLateMs),
  ]
}

function judgeBudget({ sameText, memoryShare, realShare }: MovingBudget): Verdict[] {
  const drift = (share: number) => Math.abs(share - 1)
  return [
    atLeast('moving budgets: same words', Number(sameText), 1),
    atMost('moving budgets: engine memory after and before differ by', drift(memoryShare), memoryTolerance),
    ...(realShare === null
      ? []
      : [atMost('moving budgets: browsers after and before differ by', drift(realShare), memoryTolerance)]),
  ]
}
