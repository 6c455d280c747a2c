/**
 * What guesses are worth: an answer that repeats what was said, and made-up words of which few or none come again; with and
 * without guesses, in turns, on rings that hold all of a model and on one whose memory is short.
 *
 * @module
 */
import type { ChatMessage } from '@hearth/engine'
import { median } from '../../../packages/engine/src/median.ts'
import { modelShapes } from '../../../packages/engine/src/testing/synth/index.ts'
import { withServedModel } from '../synth-file.ts'
import { withRoom, type Log, type Room } from './room.ts'
import { measurePinned } from './streaming.ts'

export type DraftsRow = {
  /** The demo model's is the same question asked again; made-up weights repeat themselves little when nothing is drawn. */
  answer: 'demo, asked again' | 'made up, greedy' | 'made up, drawn'
  /** Of each tab; null where everything is pinned. */
  diskBytesPerSec: number | null
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
  turns: number
}

export type DraftsOptions = { genTokens: number; log: Log }

const temperatures = { 'made up, greedy': 0, 'made up, drawn': 1 } as const

export async function measureDrafts(
  { tabs, share, diskBytesPerSec, turns }: DraftsCase,
  { genTokens, log }: DraftsOptions,
): Promise<DraftsRow[]> {
  const rows: DraftsRow[] = []
  const add = (row: DraftsRow) => {
    rows.push(row)
    log(JSON.stringify(row))
  }
  await withRoom({ model: 'demo', tabs, budgetBytes: null, log }, async (room) => {
    await room.choose()
    const question = { role: 'user' as const, content: 'Tell me a story about a fox' }
    const first = await room.cluster.chat(0, 'drafts-bench-first', [question])
    const messages = [question, { role: 'assistant' as const, content: first.text }, question]
    const figures = await inTurns(room, messages, turns, { maxTokens: 200 })
    add({ answer: 'demo, asked again', diskBytesPerSec: null, ...figures })
  })

  async function addMadeUp(room: Room, disk: number | null): Promise<void> {
    for (const answer of ['made up, greedy', 'made up, drawn'] as const) {
      const options = { maxTokens: genTokens, temperature: temperatures[answer], seed: 7 }
      const measure = () => inTurns(room, [{ role: 'user', content: 'MEASURE' }], turns, options)
      add({ answer, diskBytesPerSec: disk, ...(await room.capped(disk ?? Infinity, measure)) })
    }
  }
  const shape = { ...modelShapes['hearth-1.1b'], contextLength: 512 }
  await withServedModel('Q4_K_M', shape, async (model) => {
    const needBytes = await withRoom({ model, tabs, budgetBytes: null, log }, async (room) => {
      const { needBytes } = await measurePinned(room, [1], 2)
      await addMadeUp(room, null)
      return needBytes
    })
    await withRoom({ model, tabs, budgetBytes: share * needBytes, log }, async (room) => {
      await room.choose(1)
      await addMadeUp(room, diskBytesPerSec)
    })
  })
  return rows
}

type Answer = Awaited<ReturnType<Room['cluster']['chat']>>

let asked = 0

/** Each answer in a conversation of its own, so that all of them read the same prompt and find nothing of one another. */
async function inTurns(
  { cluster }: Room,
  messages: ChatMessage[],
  turns: number,
  options: { maxTokens: number; temperature?: number; seed?: number },
) {
  const ask = (drafts: { drafts?: 'never' }) =>
    cluster.chat(0, `drafts-bench-${asked++}`, messages, { ...options, ...drafts })
  const pairs: { alone: Answer; guessed: Answer }[] = []
  for (let turn = 0; turn < turns; turn++)
    pairs.push({ alone: await ask({ drafts: 'never' }), guessed: await ask({}) })
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
