/**
 * One answer with what it took of every device and of the machine.
 *
 * @module
 */
import type { GenerateStats } from '@hearth/engine'
import type { DeviceFigures } from './device-figures.ts'
import type { AskOptions } from './driven-room.ts'
import type { RunningCluster } from './run-cluster.ts'
import type { Lateness, TimerTab } from './timer-tab.ts'

/** Averages over passes through all layers. */
export type StreamFigures = {
  name: string
  streamedBytesPerToken: number
  waitedMsPerToken: number
  readingMsPerToken: number
  /** While something was being read; null when nothing was. */
  readBytesPerSec: number | null
  /** Of the bytes read, how many came from the disk and not from the page cache; null without a control group. */
  coldShare: number | null
}

export type AnswerFigures = {
  text: string
  stats: GenerateStats
  /** Of the prompt, however many passes it took. */
  promptStreams: StreamFigures[]
  /** Of the tokens, one pass each. */
  streams: StreamFigures[]
  devices: DeviceFigures[]
  lateness: Lateness | null
}

/**
 * Asks twice: for the first token, and then again for all of them. The second time the KV cache holds the prompt except
 * its last row, so that each token is one pass of one row, without guesses behind it, and nothing of the prompt is counted
 * with them.
 */
export async function measureAnswer(
  cluster: RunningCluster,
  chat: string,
  prompt: string,
  options: AskOptions & { from?: number },
  timer: TimerTab | null = null,
): Promise<AnswerFigures> {
  const ask = (options: AskOptions & { from?: number }) =>
    cluster.chat(options.from ?? 0, chat, [{ role: 'user', content: prompt }], {
      ...options,
      drafts: 'never',
    })
  const before = await cluster.figures()
  await timer?.restart()
  const first = await ask({ ...options, maxTokens: 1 })
  const between = await cluster.figures()
  const { text, stats } = await ask(options)
  const lateness = (await timer?.lateness()) ?? null
  const devices = await cluster.figures()
  const { ttftMs, cachedTokens } = first.stats
  const passes = Math.max(1, stats.outputTokens)
  return {
    text,
    stats: { ...stats, ttftMs, cachedTokens },
    promptStreams: between.map((after, i) => streamFigures(before[i]!, after, 1)),
    streams: devices.map((after, i) => streamFigures(between[i]!, after, passes)),
    devices,
    lateness,
  }
}

/** @param passes through all layers between the two */
export function streamFigures(before: DeviceFigures, after: DeviceFigures, passes: number): StreamFigures {
  const readBytes = after.readBytes - before.readBytes
  const readingMs = after.readingMs - before.readingMs
  const diskBytes = (after.diskReadBytes ?? 0) - (before.diskReadBytes ?? 0)
  const inGroup = after.diskReadBytes !== null && readBytes > 0
  return {
    name: after.name,
    streamedBytesPerToken: readBytes / passes,
    waitedMsPerToken: (after.streamWaitMs - before.streamWaitMs) / passes,
    readingMsPerToken: readingMs / passes,
    readBytesPerSec: readingMs > 0 ? (1000 * readBytes) / readingMs : null,
    coldShare: inGroup ? Math.min(1, diskBytes / readBytes) : null,
  }
}
