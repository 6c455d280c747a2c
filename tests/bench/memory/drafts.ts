/**
 * What guesses are worth: an answer of which much repeats itself and others of which less does, with and without guesses, in
 * turns, on a ring that holds all of a model and on one whose memory is short.
 *
 * @module
 */
import { median } from '../../../packages/engine/src/median.ts'
import { modelShapes } from '../../../packages/engine/src/testing/synth/index.ts'
import { withServedModel } from '../synth-file.ts'
import { withRoom, type Log, type Room } from './room.ts'
import { measurePinned } from './streaming.ts'

export type DraftsRow = {
  /** Of each tab; null where everything is pinned. */
  diskBytesPerSec: number | null
  /** Made-up weights repeat themselves with 0, and draw from all tokens with 1. */
  temperature: number
  /** Medians of all turns. */
  aloneTpotMs: number
  tpotMs: number
  /** Of one answer, in the median of all turns. */
  draftedTokens: number
  acceptedTokens: number
  outputTokens: number
  /** With guesses the same words as without. */
  sameText: boolean
}

export type DraftsCase = {
  tabs: number
  /** Of what the tab with the largest part holds with everything pinned, how much each tab offers. */
  share: number
  diskBytesPerSec: number
  temperatures: readonly number[]
  turns: number
}

export type DraftsOptions = { genTokens: number; log: Log }

export function measureDrafts(
  { tabs, share, diskBytesPerSec, temperatures, turns }: DraftsCase,
  { genTokens, log }: DraftsOptions,
): Promise<DraftsRow[]> {
  const shape = { ...modelShapes['hearth-1.1b'], contextLength: 512 }
  return withServedModel('Q4_K_M', shape, async (model) => {
    const rows: DraftsRow[] = []
    async function add(room: Room, disk: number | null): Promise<void> {
      for (const temperature of temperatures) {
        const measure = () => inTurns(room, temperature, turns, genTokens)
        const figures = await room.capped(disk ?? Infinity, measure)
        const row = { diskBytesPerSec: disk, temperature, ...figures }
        rows.push(row)
        log(JSON.stringify(row))
      }
    }
    const needBytes = await withRoom({ model, tabs, budgetBytes: null, log }, async (room) => {
      const { needBytes } = await measurePinned(room, [1], 2)
      await add(room, null)
      return needBytes
    })
    await withRoom({ model, tabs, budgetBytes: share * needBytes, log }, async (room) => {
      await room.choose(1)
      await add(room, diskBytesPerSec)
    })
    return rows
  })
}

type Answer = Awaited<ReturnType<Room['cluster']['chat']>>

let asked = 0

/** Each answer in a conversation of its own, so that all of them read the same prompt and find nothing of one another. */
async function inTurns({ cluster }: Room, temperature: number, turns: number, maxTokens: number) {
  const messages = [{ role: 'user' as const, content: 'MEASURE' }]
  const ask = (drafts?: 'never') => {
    const options = { maxTokens, temperature, seed: 7, ...(drafts && { drafts }) }
    return cluster.chat(0, `drafts-bench-${asked++}`, messages, options)
  }
  const pairs: { alone: Answer; guessed: Answer }[] = []
  for (let turn = 0; turn < turns; turn++) pairs.push({ alone: await ask('never'), guessed: await ask() })
  const medianOf = (of: (pair: (typeof pairs)[number]) => number) => median(pairs.map(of))
  return {
    aloneTpotMs: medianOf(({ alone }) => alone.stats.tpotMs),
    tpotMs: medianOf(({ guessed }) => guessed.stats.tpotMs),
    draftedTokens: medianOf(({ guessed }) => guessed.stats.draftedTokens),
    acceptedTokens: medianOf(({ guessed }) => guessed.stats.acceptedTokens),
    outputTokens: medianOf(({ guessed }) => guessed.stats.outputTokens),
    sameText: pairs.every(({ alone, guessed }) => alone.text === guessed.text),
  }
}
