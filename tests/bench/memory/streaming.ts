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
  /** With everything pinned, and the fewest rounds; where something streams, right before. */
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
  /** Of what the tab with the largest part holds with everything pinned, how much each tab offers. */
  share: number
  /** Of each tab: so fast, or as fast as makes reading so many times as long as computing. */
  disk: readonly ({ bytesPerSec: number } | { ratio: number })[]
  /** The first is what `computeMs` of all rows is measured with. */
  rounds: readonly number[]
  /** How often each answer takes turns with one that has everything pinned. Machines get slower and faster by the minute. */
  turns: number
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
    for (const { tabs, share, disk, rounds, turns } of cases) {
      await withRoom({ model, tabs, budgetBytes: null, log }, async (pinnedRoom) => {
        const { answers, needBytes } = await measurePinned(pinnedRoom, rounds, genTokens)
        const [first] = answers as [AnswerFigures]
        const textOf = new Map(rounds.map((k, i) => [k, answers[i]!.text]))
        for (const [i, answer] of answers.entries()) {
          const circumstances = {
            tabs,
            variant: 'pinned',
            rounds: rounds[i]!,
            diskBytesPerSec: null,
          } as const
          add(streamRow({ ...circumstances, pinned: first, text: answer.text }, answer))
        }
        await pinnedRoom.choose(rounds[0])
        const budgetBytes = share * needBytes
        for (const readsAhead of [false, true]) {
          const variant = readsAhead ? 'read-ahead' : 'no read-ahead'
          await withRoom({ model, tabs, budgetBytes, readsAhead, log }, async (room) => {
            for (const k of readsAhead ? rounds : rounds.slice(0, 1)) {
              await room.choose(k)
              for (const speed of disk) {
                const taken: StreamRow[] = []
                while (taken.length < turns) {
                  const pinned = await pinnedRoom.answer(genTokens)
                  let diskBytesPerSec = 0
                  const answer = await room.answer(genTokens, (streamedBytes) => {
                    diskBytesPerSec =
                      'ratio' in speed
                        ? (1000 * streamedBytes) / (speed.ratio * first.stats.tpotMs)
                        : speed.bytesPerSec
                    return diskBytesPerSec
                  })
                  const text = textOf.get(k)!
                  taken.push(streamRow({ tabs, variant, rounds: k, diskBytesPerSec, pinned, text }, answer))
                  log(rowText(taken.at(-1)!))
                }
                rows.push(medianTurn(taken))
              }
            }
          })
        }
      })
    }
    return rows
  })
}

/** What a token takes at least: reading and computing, whichever is longer, if all of one lies beside the other. */
export const boundMs = ({ readMsPerToken, computeMs }: Pick<StreamRow, 'readMsPerToken' | 'computeMs'>) =>
  Math.max(readMsPerToken, computeMs)

/** The turn whose time is the median of all beside its bound, with the most memory and the worst words of any. */
export function medianTurn(turns: readonly StreamRow[]): StreamRow {
  const share = (turn: StreamRow) => turn.tpotMs / boundMs(turn)
  const sorted = turns.toSorted((a, b) => share(a) - share(b))
  return {
    ...sorted[Math.floor(sorted.length / 2)]!,
    peakShare: Math.max(...turns.map(({ peakShare }) => peakShare)),
    sameText: turns.every(({ sameText }) => sameText),
  }
}

/** With everything pinned, in so many rounds each, and what the tab with the largest part then holds. */
export async function measurePinned(room: Room, rounds: readonly number[], genTokens: number) {
  const answers: AnswerFigures[] = []
  for (const k of rounds) {
    await room.choose(k)
    answers.push(await room.answer(genTokens))
  }
  const { embeddingBytes } = (await room.cluster.state(0)).room!.choice!.profile
  // The embedding is read row by row where memory is short.
  const needs = answers[0]!.devices.map(({ memoryBytes, head }) => memoryBytes - (head ? embeddingBytes : 0))
  return { answers, needBytes: Math.max(...needs) }
}

export type Circumstances = Pick<StreamRow, 'tabs' | 'variant' | 'rounds' | 'diskBytesPerSec'> & {
  pinned: AnswerFigures
  /** Of the same ring with everything pinned: f16 on the wire rounds at every hop, so other rounds may say other words. */
  text: string
}

export function streamRow(
  { pinned, text, ...circumstances }: Circumstances,
  { text: said, stats, streams, devices }: AnswerFigures,
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
    sameText: said === text,
  }
}

const rowText = (row: StreamRow) =>
  `${row.tabs} tabs, ${row.variant}, k = ${row.rounds}, disk ${Math.round((row.diskBytesPerSec ?? 0) / 1e6)} MB/s: ` +
  `${row.tpotMs.toFixed(1)} ms per token, computing ${row.computeMs.toFixed(1)}, read ${row.readMsPerToken.toFixed(1)}, ` +
  `waited ${row.waitedMsPerToken.toFixed(1)}`
