/**
 * A model larger than the tabs' memory: what reading ahead and rounds are worth, and how near a token comes to what
 * reading and computing alone would take.
 *
 * @module
 */
import type { AnswerFigures } from '../../cluster/answer-figures.ts'
import type { RunningCluster } from '../../cluster/run-cluster.ts'
import { withModel } from '../synth-file.ts'
import { answerOf, withRoom, type Log } from './room.ts'

export type StreamRow = {
  tabs: number
  variant: 'pinned' | 'no read-ahead' | 'read-ahead'
  /** Trips round the ring per token. */
  rounds: number
  /** Reading as a share of computing, which the disk's cap was chosen for; null where nothing streams. */
  ratio: number | null
  diskBytesPerSec: number | null
  tpotMs: number
  /** With everything pinned. */
  computeMs: number
  /** Of the tab that reads longest: no overlap makes a token faster than that. */
  readMsPerToken: number
  /** Its speed meanwhile. */
  readBytesPerSec: number | null
  /** Of all tabs, as the next two. */
  streamedBytesPerToken: number
  waitedMsPerToken: number
  /** Of the time in which was read, how much nobody waited; null where nothing streams. */
  hiddenShare: number | null
  /** Of the bytes read, how many really came from the disk. */
  coldShare: number | null
  /** Largest share of its budget that a tab took. */
  peakShare: number
  /** The same words as with everything pinned. */
  sameText: boolean
}

export type StreamCase = {
  tabs: number
  budgetBytes: number
  /** Disk caps to measure under, as reading ÷ computing. */
  ratios: readonly number[]
  rounds: readonly number[]
}

export type StreamOptions = { genTokens: number; log: Log }

/** Positions are few, so that budgets go into weights. */
const shape = { contextLength: 512 }
const type = 'Q4_K_M'

/** Every case with everything pinned, without and with read-ahead. */
export function measureStreaming(
  cases: readonly StreamCase[],
  { genTokens, log }: StreamOptions,
): Promise<StreamRow[]> {
  return withModel(type, shape, async ({ url }) => {
    const rows: StreamRow[] = []
    for (const { tabs, budgetBytes, ratios, rounds } of cases) {
      const pinned = await withRoom({ model: url, tabs, budgetBytes: null, log }, async (room) => {
        await room.choose(url, 1)
        return answerOf(room, genTokens)
      })
      const base = { tabs, pinned }
      rows.push(streamRow({ ...base, variant: 'pinned', rounds: 1, ratio: null, disk: null }, pinned))
      log(rowText(rows.at(-1)!))
      for (const readsAhead of [false, true]) {
        const variant = readsAhead ? 'read-ahead' : 'no read-ahead'
        const options = { model: url, tabs, budgetBytes, readsAhead, log }
        await withRoom(options, async (room) => {
          for (const k of readsAhead ? rounds : rounds.slice(0, 1)) {
            await room.choose(url, k)
            for (const ratio of ratios) {
              const disk = (1000 * (await longestRead(room))) / (ratio * pinned.stats.tpotMs)
              const answer = await answerOf(room, genTokens, disk)
              rows.push(streamRow({ ...base, variant, rounds: k, ratio, disk }, answer))
              log(rowText(rows.at(-1)!))
            }
          }
        })
      }
    }
    return rows
  })
}

/** Bytes per token of the tab that reads most. */
async function longestRead(room: RunningCluster): Promise<number> {
  const figures = await room.figures()
  return Math.max(...figures.map(({ streamedLayerBytes }) => streamedLayerBytes))
}

export type Circumstances = Pick<StreamRow, 'tabs' | 'variant' | 'rounds' | 'ratio'> & {
  disk: number | null
  pinned: AnswerFigures
}

export function streamRow(
  { pinned, disk, ...circumstances }: Circumstances,
  { text, stats, streams, devices }: AnswerFigures,
): StreamRow {
  const longest = streams.reduce((a, b) => (b.readingMsPerToken > a.readingMsPerToken ? b : a))
  const total = (of: (stream: (typeof streams)[number]) => number) =>
    streams.reduce((sum, stream) => sum + of(stream), 0)
  const readingMs = total((stream) => stream.readingMsPerToken)
  const waitedMsPerToken = total((stream) => stream.waitedMsPerToken)
  const cold = streams.flatMap(({ coldShare }) => (coldShare === null ? [] : [coldShare]))
  return {
    ...circumstances,
    diskBytesPerSec: disk,
    tpotMs: stats.tpotMs,
    computeMs: pinned.stats.tpotMs,
    readMsPerToken: longest.readingMsPerToken,
    readBytesPerSec: longest.readBytesPerSec,
    streamedBytesPerToken: total((stream) => stream.streamedBytesPerToken),
    waitedMsPerToken,
    hiddenShare: readingMs > 0 ? Math.max(0, 1 - waitedMsPerToken / readingMs) : null,
    coldShare: cold.length > 0 ? Math.min(...cold) : null,
    peakShare: Math.max(...devices.map(({ peakMemoryBytes, budgetBytes }) => peakMemoryBytes / budgetBytes)),
    sameText: text === pinned.text,
  }
}

const rowText = (row: StreamRow) =>
  `${row.tabs} tabs, ${row.variant}, k = ${row.rounds}, reading ÷ computing ${row.ratio ?? 0}: ` +
  `${row.tpotMs.toFixed(1)} ms per token, read ${row.readMsPerToken.toFixed(1)}, waited ${row.waitedMsPerToken.toFixed(1)}`
