/**
 * Browsers with so much memory and so fast a disk, and an answer of theirs.
 *
 * @module
 */
import type { Plan } from '@hearth/halda'
import type { ControlGroup } from '../../cluster/control-groups.ts'
import { measureAnswer, type AnswerFigures } from '../../cluster/answer-figures.ts'
import { startCluster, type RunningCluster } from '../../cluster/run-cluster.ts'
import type { TimerTab } from '../../cluster/timer-tab.ts'

/**
 * What a browser may need beside its engine's budget while it fetches: 500 MB measured. While it answers, it is capped at
 * what it then holds.
 */
const browserBytes = 800e6
/** For what fluctuates while an answer is measured, and for page cache. */
const slackBytes = 32e6

/** Enough for every model here: nothing streams. */
export const plentyBytes = 16e9

export type Log = (line: string) => void

export type RoomOptions = {
  /** A file, a URL or 'synth:SHAPE:TYPE'. */
  model: string
  tabs: number
  /** Of each tab; its browser is really capped. Null: everything fits, no cap. */
  budgetBytes: number | null
  /** One, unless told otherwise: a machine with two cores stands in for several devices. */
  threads?: number
  readsAhead?: boolean
  log: Log
}

/** Bytes per second that each browser gets of its disk, or that by what a tab reads for a token at most. */
export type DiskCap = number | ((mostStreamedBytes: number) => number)

export interface Room {
  readonly cluster: RunningCluster
  /** Uncapped where this is not the first plan: WASM memory does not shrink before the next layers are loaded. */
  choose(rounds?: number): Promise<Plan>
  /** Of each tab. */
  setBudget(bytes: number): Promise<void>
  /** Lets the browsers have whatever they take. */
  lift(): void
  /**
   * Measures behind a short conversation that fills the slots. Where the browsers are capped, they keep what they hold
   * meanwhile and next to no page cache, so that what streams comes from the disk.
   *
   * @param prepare what else takes memory for good, before they are capped
   */
  capped<T>(disk: DiskCap, measure: () => Promise<T>, prepare?: () => Promise<void>): Promise<T>
  /** One conversation, always the same, begun anew, {@link Room.capped}. */
  answer(maxTokens: number, disk?: DiskCap, timer?: TimerTab): Promise<AnswerFigures>
}

export async function withRoom<T>(options: RoomOptions, use: (room: Room) => Promise<T>): Promise<T> {
  const { model, tabs, budgetBytes, readsAhead = true, threads = 1, log } = options
  let capBytes = budgetBytes === null ? Infinity : budgetBytes + browserBytes
  const cluster = await startCluster({
    devices: tabs,
    model,
    split: 'even',
    dtype: 'f16',
    threads,
    readsAhead,
    budgetsBytes: [budgetBytes ?? plentyBytes],
    caps: { memoryBytes: [capBytes] },
    log,
    endsOnSignals: true,
  })
  const setCaps = (of: (group: ControlGroup) => number) => {
    for (const group of cluster.groups) group.limit({ memoryBytes: of(group) })
  }
  async function capped<T>(
    disk: DiskCap,
    measure: () => Promise<T>,
    prepare?: () => Promise<void>,
  ): Promise<T> {
    // In the conversation of `answer`, so that its KV cache takes the place of that one's and not more memory.
    await cluster.chat(0, chat, [{ role: 'user', content: warmUp }], { maxTokens: 2 })
    await prepare?.()
    const streamedBytes = (await cluster.figures()).map(({ streamedLayerBytes }) => streamedLayerBytes)
    const diskBytesPerSec = typeof disk === 'number' ? disk : disk(Math.max(...streamedBytes))
    for (const group of cluster.groups) {
      group.limit({ readBytesPerSec: diskBytesPerSec })
      group.dropCache()
    }
    if (capBytes !== Infinity) setCaps((group) => group.usedBytes() + slackBytes)
    try {
      return await measure()
    } finally {
      setCaps(() => capBytes)
    }
  }
  try {
    let planned = false
    return await use({
      cluster,
      async choose(rounds) {
        if (planned) setCaps(() => Infinity)
        planned = true
        return cluster.choose(model, rounds)
      },
      async setBudget(bytes) {
        for (const page of cluster.pages) {
          await page.evaluate((bytes) => window.hearth.setMemoryBudget(bytes), bytes)
        }
      },
      lift() {
        capBytes = Infinity
        setCaps(() => Infinity)
      },
      capped,
      answer: (maxTokens, disk = Infinity, timer) =>
        capped(disk, () => measureAnswer(cluster, chat, prompt, { maxTokens }, timer)),
    })
  } finally {
    await cluster.close()
  }
}

const chat = 'memory-bench'
const warmUp = 'BEFORE THAT'
const prompt = 'MEASURE'
