/**
 * Browsers with so much memory and so fast a disk, and an answer of theirs.
 *
 * @module
 */
import { measureAnswer, type AnswerFigures } from '../../cluster/answer-figures.ts'
import { startCluster, type RunningCluster } from '../../cluster/run-cluster.ts'
import type { TimerTab } from '../../cluster/timer-tab.ts'

/** What a browser needs beside what its engine holds: 250 MB measured while it answers, up to 350 while it fetches. */
const usualBrowserBytes = 400e6

/** Enough for every model here: nothing streams. */
export const plentyBytes = 16e9

export type Log = (line: string) => void

export type RoomOptions = {
  /** A file or 'synth:SHAPE:TYPE'. */
  model: string
  tabs: number
  /** Of each tab; its browser is really capped at that and `browserBytes`. Null: everything fits, no cap. */
  budgetBytes: number | null
  browserBytes?: number
  /** One, unless told otherwise: a machine with two cores stands in for several devices. */
  threads?: number
  readsAhead?: boolean
  log: Log
}

export async function withRoom<T>(
  options: RoomOptions,
  use: (room: RunningCluster) => Promise<T>,
): Promise<T> {
  const { model, tabs, budgetBytes, readsAhead = true, threads = 1, log } = options
  const { browserBytes = usualBrowserBytes } = options
  const cluster = await startCluster({
    devices: tabs,
    model,
    split: 'even',
    dtype: 'f16',
    threads,
    readsAhead,
    budgetsBytes: [budgetBytes ?? plentyBytes],
    caps: budgetBytes === null ? {} : { memoryBytes: [budgetBytes + browserBytes] },
    log,
    endsOnSignals: true,
  })
  try {
    return await use(cluster)
  } finally {
    await cluster.close()
  }
}

const prompt = 'MEASURE'
let asked = 0

/**
 * A fresh conversation, behind a short one that fills the slots.
 *
 * @param diskBytesPerSec what each browser gets of its disk
 */
export async function answerOf(
  room: RunningCluster,
  maxTokens: number,
  diskBytesPerSec = Infinity,
  timer: TimerTab | null = null,
): Promise<AnswerFigures> {
  for (const group of room.groups) {
    group.limit({ readBytesPerSec: diskBytesPerSec })
    group.dropCache()
  }
  const chat = `memory-bench-${asked++}`
  await room.chat(0, `${chat}-warm`, [{ role: 'user', content: prompt }], { maxTokens: 2 })
  return measureAnswer(room, chat, prompt, { maxTokens }, timer)
}
