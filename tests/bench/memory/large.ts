/**
 * Models of published shapes that no tab could hold, in tabs of so much memory.
 *
 * @module
 */
import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import type { StreamFigures } from '../../cluster/answer-figures.ts'
import { watchPressure } from '../../cluster/memory-pressure.ts'
import { synthNamed } from '../../cluster/model-names.ts'
import { openTimerTab, type Lateness } from '../../cluster/timer-tab.ts'
import { plentyBytes, withRoom, type Log } from './room.ts'

export type LargeCase = {
  model: `synth:${string}`
  tabs: number
  budgetBytes: number
  genTokens: number
  /** Asks the same ring again with everything pinned: only where the machine has the memory. */
  beside: boolean
}

export type LargeRow = {
  model: string
  tabs: number
  budgetBytes: number
  /** Of all tabs. */
  weightBytes: number
  /** Of all tabs, as the next one: for the whole prompt. */
  promptStreamedBytes: number
  streamedBytesPerToken: number
  /** Until everybody was ready: fetching, packing, storing. */
  loadMs: number
  ttftMs: number
  tpotMs: number
  outputTokens: number
  /** Largest share of its budget that a tab took. */
  peakShare: number
  /** Most anonymous memory of a browser, beside what its engine held; null without control groups. */
  browserBytes: number | null
  /** From before the model was chosen, as a share of the machine's memory. */
  pressure: number | null
  /** Of a timer of 50 ms in one more tab. */
  lateness: Lateness
  /** With everything pinned: the same words, and ms per token; null where that was not asked for. */
  sameText: boolean | null
  pinnedTpotMs: number | null
}

/** What packing adds to Q4_K is 3 %; the rest is what a browser keeps beside its store. */
const diskBytesPerByte = 1.08

/** Why this disk cannot hold what the tabs would store together; null where it can. */
export async function diskShortage({ model }: LargeCase): Promise<string | null> {
  const neededBytes = diskBytesPerByte * synthNamed(model)!.sizeBytes
  const { bavail, bsize } = await statfs(tmpdir())
  if (bavail * bsize >= neededBytes) return null
  const [neededGb, freeGb] = [neededBytes, bavail * bsize].map((bytes) => (bytes / 1e9).toFixed(1))
  return `${model} is left out: it takes ${neededGb} GB in ${tmpdir()}, where ${freeGb} GB are free.`
}

export async function measureLarge(
  { model, tabs, budgetBytes, genTokens, beside }: LargeCase,
  log: Log,
): Promise<LargeRow> {
  const timer = await openTimerTab()
  try {
    return await withRoom({ model, tabs, budgetBytes, log }, async (room) => {
      const watch = watchPressure()
      const startMs = performance.now()
      await room.choose()
      const loadMs = performance.now() - startMs
      log(`${model} is ready on ${tabs} tabs after ${(loadMs / 1000).toFixed(0)} s`)
      const answer = await room.answer(genTokens, Infinity, timer)
      const { text, stats, devices, lateness } = answer
      const pressure = watch.pressure()
      watch.stop()
      log(`${stats.tpotMs.toFixed(0)} ms per token`)
      const pinned = beside ? await pinnedAnswer() : null
      const own = devices.map(({ realResidentBytes, memoryBytes }) => (realResidentBytes ?? 0) - memoryBytes)
      return {
        model,
        tabs,
        budgetBytes,
        weightBytes: devices.reduce((sum, { weightBytes }) => sum + weightBytes, 0),
        promptStreamedBytes: streamedBytes(answer.promptStreams),
        streamedBytesPerToken: streamedBytes(answer.streams),
        loadMs,
        ttftMs: stats.ttftMs,
        tpotMs: stats.tpotMs,
        outputTokens: stats.outputTokens,
        peakShare: Math.max(...devices.map((d) => d.peakMemoryBytes / d.budgetBytes)),
        browserBytes: room.cluster.groups.length > 0 ? Math.max(...own) : null,
        pressure,
        lateness: lateness!,
        sameText: pinned && pinned.text === text,
        pinnedTpotMs: pinned && pinned.stats.tpotMs,
      }

      async function pinnedAnswer() {
        const { pages, waitUntilReady } = room.cluster
        room.lift()
        await room.setBudget(plentyBytes)
        for (const page of pages) {
          await page.waitForFunction(() => window.hearth.state().streaming === null, undefined, {
            timeout: 0,
          })
        }
        await waitUntilReady()
        return room.answer(genTokens)
      }
    })
  } finally {
    await timer.close()
  }
}

const streamedBytes = (streams: readonly StreamFigures[]) =>
  streams.reduce((sum, stream) => sum + stream.streamedBytesPerToken, 0)
