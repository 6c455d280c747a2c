/**
 * Several conversations at once on a ring whose memory is short: what streams is read once for all of them, so that the
 * tokens of eight should take little longer than those of one.
 *
 * @module
 */
import { withServedModel } from '../synth-file.ts'
import { median } from '../../../packages/engine/src/median.ts'
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
/** What a browser may take beside its budget; while an answer is measured it keeps what it has, and no more. */
const loadingBytes = 700e6
const messages = [{ role: 'user' as const, content: 'MEASURE' }]
let asked = 0

export function measureSessions(
  { tabs, share, diskBytesPerSec, rounds, conversations }: SessionsCase,
  { genTokens, log }: { genTokens: number; log: Log },
): Promise<SessionsRow[]> {
  return withServedModel(type, thinShape, async (model) => {
    const rows: SessionsRow[] = []
    const pinned = { model, tabs, budgetBytes: null, log }
    const { needBytes, texts: pinnedTexts } = await withRoom(pinned, async (room) => {
      const { needBytes } = await measurePinned(room, rounds.slice(0, 1), genTokens)
      const texts = []
      for (const k of rounds) {
        await room.choose(k)
        const chats = newChats(1, tabs)
        await readPrompts(room, chats)
        texts.push((await answerAtOnce(room, chats, genTokens)).texts[0])
      }
      return { needBytes, texts }
    })
    const room = { model, tabs, budgetBytes: share * needBytes, browserBytes: loadingBytes, log }
    await withRoom(room, async (room) => {
      for (const [i, k] of rounds.entries()) {
        await room.choose(k)
        for (const count of conversations) {
          const chats = newChats(count, tabs)
          const { texts, ...figures } = await room.capped(
            diskBytesPerSec,
            () => answerAtOnce(room, chats, genTokens),
            () => readPrompts(room, chats),
          )
          const sameText = texts.every((text) => text === pinnedTexts[i])
          const row = { tabs, rounds: k, conversations: count, diskBytesPerSec, ...figures, sameText }
          rows.push(row)
          log(rowText(row))
        }
      }
    })
    return rows
  })
}

type Chat = { tab: number; chat: string }

const newChats = (count: number, tabs: number): Chat[] =>
  Array.from({ length: count }, (_, i) => ({ tab: i % tabs, chat: `at-once-bench-${asked++}` }))

/** One after the other; eight are kept, and none older than these is needed. */
async function readPrompts({ cluster }: Room, chats: readonly Chat[]): Promise<void> {
  for (const { tab, chat } of chats) await cluster.chat(tab, chat, messages, { maxTokens: 1 })
}

async function answerAtOnce({ cluster }: Room, chats: readonly Chat[], maxTokens: number) {
  const readBytes = async () => (await cluster.figures()).reduce((sum, device) => sum + device.readBytes, 0)
  const before = await readBytes()
  const answers = await Promise.all(
    chats.map(({ tab, chat }) => cluster.chat(tab, chat, messages, { maxTokens, drafts: 'never' })),
  )
  const streamedBytes = (await readBytes()) - before
  const tpotMs = median(answers.map(({ stats }) => stats.tpotMs))
  const devices = await cluster.figures()
  return {
    texts: answers.map(({ text }) => text),
    tpotMs,
    tokensPerSec: (1000 * chats.length) / tpotMs,
    streamedBytesPerToken: streamedBytes / answers.reduce((sum, { stats }) => sum + stats.outputTokens, 0),
    peakShare: Math.max(...devices.map(({ peakMemoryBytes, budgetBytes }) => peakMemoryBytes / budgetBytes)),
  }
}

const rowText = (row: SessionsRow) =>
  `k = ${row.rounds}, ${row.conversations} at once: ${Math.round(row.tpotMs)} ms per token of each, ` +
  `${row.tokensPerSec.toFixed(2)} tokens/s, ${Math.round(row.streamedBytesPerToken / 1e6)} MB per token, ` +
  `${Math.round(100 * row.peakShare)} % of the budget${row.sameText ? '' : ', OTHER WORDS'}`
