/**
 * One answer with what it took of every device and of the machine.
 *
 * @module
 */
import type { GenerateStats } from '@hearth/engine'
import type { DeviceFigures } from './device-figures.ts'
import type { AskOptions, RunningCluster } from './run-cluster.ts'
import type { Lateness, TimerTab } from './timer-tab.ts'

/** Averages over the passes through all layers that an answer takes: one for its prompt, one for each further token. */
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
  streams: StreamFigures[]
  devices: DeviceFigures[]
  lateness: Lateness | null
}

export async function measureAnswer(
  cluster: RunningCluster,
  chat: string,
  prompt: string,
  options: AskOptions & { from?: number },
  timer: TimerTab | null = null,
): Promise<AnswerFigures> {
  const before = await cluster.figures()
  await timer?.restart()
  const messages = [{ role: 'user' as const, content: prompt }]
  const { text, stats } = await cluster.chat(options.from ?? 0, chat, messages, options)
  const lateness = (await timer?.lateness()) ?? null
  const devices = await cluster.figures()
  const streams = devices.map((after, i) => streamFigures(before[i]!, after, Math.max(1, stats.outputTokens)))
  return { text, stats, streams, devices, lateness }
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
