/**
 * A model larger than the tabs' memory: what reading ahead and rounds are worth, and how near a token comes to what
 * reading and computing alone would take.
 *
 * @module
 */
import type { AnswerFigures } from '../../cluster/answer-figures.ts'
import { withServedModel } from '../synth-file.ts'
import { withRoom, type Log, type Room } from './room.ts'
import { thinShape } from './thin-shape.ts'

export type StreamRow = {
  tabs: number
  variant: 'pinned' | 'no read-ahead' | 'read-ahead'
  /** Trips round the ring per token. */
  rounds: number
  /** What each tab really got of its disk at most; null where nothing streams. */
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
  /** Of what the largest part of the model takes, KV cache included, how much each tab offers. */
  share: number
  /** Of each tab: so fast, or as fast as makes reading so many times as long as computing. */
  disk: readonly ({ bytesPerSec: number } | { ratio: number })[]
  rounds: readonly number[]
}

export type StreamOptions = { genTokens: number; log: Log }

const type = 'Q4_K_M'

/** Every case with everything pinned, without and with read-ahead. */
export function measureStreaming(
  cases: readonly StreamCase[],
  { genTokens, log }: StreamOptions,
): Promise<StreamRow[]> {
  return withServedModel(type, thinShape, async (model) => {
    const rows: StreamRow[] = []
    const add = (row: StreamRow) => {
      rows.push(row)
      log(rowText(row))
    }
    for (const { tabs, share, disk, rounds } of cases) {
      const { pinned, needBytes } = await withRoom({ model, tabs, budgetBytes: null, log }, (room) =>
        measurePinned(room, genTokens),
      )
      const base = { tabs, pinned }
      add(streamRow({ ...base, variant: 'pinned', rounds: 1, diskBytesPerSec: null }, pinned))
      const budgetBytes = share * needBytes
      for (const readsAhead of [false, true]) {
        const variant = readsAhead ? 'read-ahead' : 'no read-ahead'
        await withRoom({ model, tabs, budgetBytes, readsAhead, log }, async (room) => {
          for (const k of readsAhead ? rounds : rounds.slice(0, 1)) {
            await room.choose(k)
            for (const speed of disk) {
              const diskBytesPerSec =
                'ratio' in speed
                  ? (1000 * (await longestRead(room))) / (speed.ratio * pinned.stats.tpotMs)
                  : speed.bytesPerSec
              const answer = await room.answer(genTokens, diskBytesPerSec)
              add(streamRow({ ...base, variant, rounds: k, diskBytesPerSec }, answer))
            }
          }
        })
      }
    }
    return rows
  })
}

/** With everything pinned, and what the largest part of the model takes. */
export async function measurePinned(room: Room, genTokens: number) {
  await room.choose(1)
  const pinned = await room.answer(genTokens)
  const { choice } = (await room.cluster.state(0)).room!
  const { kvBytesPerPosition, contextLength, embeddingBytes } = choice!.profile
  const needs = pinned.devices.map(
    ({ weightBytes, layers, head }) =>
      // The embedding is read row by row where memory is short.
      weightBytes + layers * kvBytesPerPosition * contextLength - (head ? embeddingBytes : 0),
  )
  return { pinned, needBytes: Math.max(...needs) }
}

/** Bytes per token of the tab that reads most. */
async function longestRead({ cluster }: Room): Promise<number> {
  const figures = await cluster.figures()
  return Math.max(...figures.map(({ streamedLayerBytes }) => streamedLayerBytes))
}

export type Circumstances = Pick<StreamRow, 'tabs' | 'variant' | 'rounds' | 'diskBytesPerSec'> & {
  pinned: AnswerFigures
}

export function streamRow(
  { pinned, ...circumstances }: Circumstances,
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
  `${row.tabs} tabs, ${row.variant}, k = ${row.rounds}, disk ${Math.round((row.diskBytesPerSec ?? 0) / 1e6)} MB/s: ` +
  `${row.tpotMs.toFixed(1)} ms per token, read ${row.readMsPerToken.toFixed(1)}, waited ${row.waitedMsPerToken.toFixed(1)}`
