/**
 * Several conversations at once on a ring whose memory is short: what streams is read once for all of them, so that the
 * tokens of eight should take little longer than those of one.
 *
 * @module
 */
import { withServedModel } from '../synth-file.ts'
import { median } from '../../../packages/engine/src/node/measure-speed.ts'
import { withRoom, type Log, type Room } from './room.ts'
import { measurePinned } from './streaming.ts'
import { thinShape } from './thin-shape.ts'

export type SessionsRow = {
  tabs: number
  /** Trips round the ring per token. */
  rounds: number
  conversations: number
  diskBytesPerSec: number
  /** From one token of a conversation to its next, the median conversation's. */
  tpotMs: number
  /** Of all conversations, while all of them are answered. */
  tokensPerSec: number
  /** What the tabs read for one token of one conversation. */
  streamedBytesPerToken: number
  /** Largest share of its budget that a tab took. */
  peakShare: number
  /** Each conversation has the words of the ring with everything pinned. */
  sameText: boolean
}

export type SessionsCase = {
  tabs: number
  /** Of what the tab with the largest part holds with everything pinned, how much each tab offers. */
  share: number
  diskBytesPerSec: number
  rounds: readonly number[]
  conversations: readonly number[]
}

const type = 'Q4_K_M'
const messages = [{ role: 'user' as const, content: 'MEASURE' }]
let asked = 0

export function measureSessions(
  { tabs, share, diskBytesPerSec, rounds, conversations }: SessionsCase,
  { genTokens, log }: { genTokens: number; log: Log },
): Promise<SessionsRow[]> {
  return withServedModel(type, thinShape, async (model) => {
    const rows: SessionsRow[] = []
    const { answers, needBytes } = await withRoom({ model, tabs, budgetBytes: null, log }, (room) =>
      measurePinned(room, [1], genTokens),
    )
    const [pinned] = answers
    await withRoom({ model, tabs, budgetBytes: share * needBytes, log }, async (room) => {
      for (const k of rounds) {
        await room.choose(k)
        for (const count of conversations) {
          const answered = await room.capped(diskBytesPerSec, () => answerAtOnce(room, count, genTokens))
          const { texts, ...figures } = answered
          const sameText = texts.every((text) => text === pinned!.text)
          const row = { tabs, rounds: k, conversations: count, diskBytesPerSec, ...figures, sameText }
          rows.push(row)
          log(
            `k = ${k}, ${count} at once: ${Math.round(row.tpotMs)} ms per token, ${row.tokensPerSec.toFixed(2)} tokens/s`,
          )
        }
      }
    })
    return rows
  })
}

/** So many conversations from the tabs in turn, whose prompts were read before. */
async function answerAtOnce({ cluster }: Room, count: number, maxTokens: number) {
  const chats = Array.from({ length: count }, () => `at-once-bench-${asked++}`)
  const tabOf = (i: number) => i % cluster.pages.length
  for (const [i, chat] of chats.entries()) await cluster.chat(tabOf(i), chat, messages, { maxTokens: 1 })
  const readBytes = async () => (await cluster.figures()).reduce((sum, device) => sum + device.readBytes, 0)
  const before = await readBytes()
  const answers = await Promise.all(
    chats.map((chat, i) => cluster.chat(tabOf(i), chat, messages, { maxTokens })),
  )
  const streamedBytes = (await readBytes()) - before
  const tpotMs = median(answers.map(({ stats }) => stats.tpotMs))
  const devices = await cluster.figures()
  return {
    texts: answers.map(({ text }) => text),
    tpotMs,
    tokensPerSec: (1000 * count) / tpotMs,
    streamedBytesPerToken: streamedBytes / answers.reduce((sum, { stats }) => sum + stats.outputTokens, 0),
    peakShare: Math.max(...devices.map(({ peakMemoryBytes, budgetBytes }) => peakMemoryBytes / budgetBytes)),
  }
}
