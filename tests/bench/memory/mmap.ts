/**
 * llama.cpp, which maps its file and leaves it to the kernel what stays in memory, beside a tab that decides for
 * itself: one file, the same threads, the same memory for weights and page cache together.
 *
 * @module
 */
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import type { Recipe } from '../../../packages/engine/src/testing/synth/index.ts'
import {
  findControlGroups,
  type ControlGroup,
  type ControlGroups,
  type Limits,
} from '../../cluster/control-groups.ts'
import { installPeers } from '../peers.ts'
import { withModel } from '../synth-file.ts'
import { withRoom, type Log } from './room.ts'
import { thinShape } from './thin-shape.ts'

export type MmapRow = {
  type: Recipe
  /** The model's weights ÷ memory for weights and page cache; null where nothing is capped. */
  times: number | null
  /** For weights and page cache; what each engine needs beside them comes on top. */
  weightsBytes: number | null
  /** What each got of its disk at most; null where it got all there is. */
  diskBytesPerSec: number | null
  hearthTpotMs: number
  /** What Hearth read for a token, and how fast while it read; null where nothing streams. */
  hearthStreamedBytes: number
  hearthReadBytesPerSec: number | null
  /** Null when it was killed. */
  llamaTpotMs: number | null
  /** What each takes beside weights: a browser, KV cache and buffers; a Node.js process, KV cache and buffers. */
  hearthOwnBytes: number
  llamaOwnBytes: number
}

export type MmapReport = { rows: MmapRow[]; /** Why there is no comparison. */ missing: string | null }

export type MmapOptions = {
  type: Recipe
  times: readonly number[]
  /** Infinity: as fast as it is. */
  disksBytesPerSec: readonly number[]
  threads: number
  genTokens: number
  log: Log
}

const script = path.join(import.meta.dirname, 'llama-child.ts')
const promptTokens = 8
const slackBytes = 48e6

export async function measureMmap(options: MmapOptions): Promise<MmapReport> {
  const { type, log } = options
  const groups = findControlGroups(tmpdir())
  if (typeof groups === 'string') return { rows: [], missing: groups }
  const { nativeMissing } = await installPeers(log)
  if (nativeMissing !== null) return { rows: [], missing: nativeMissing }
  return withModel(type, thinShape, async ({ file }) => {
    const [hearth] = await hearthRuns(file, options, [Infinity])
    const llama = await llamaRun(groups, file, options)
    log(`uncapped: Hearth ${said(hearth)}, llama.cpp ${said(llama)}`)
    const rowOf = (times: number | null, mine: HearthRun, theirs: Run, disk = Infinity): MmapRow => ({
      type,
      times,
      weightsBytes: times === null ? null : hearth.weightBytes / times,
      diskBytesPerSec: disk === Infinity ? null : disk,
      hearthTpotMs: mine.tpotMs,
      hearthStreamedBytes: mine.streamedBytes,
      hearthReadBytesPerSec: mine.readBytesPerSec,
      llamaTpotMs: theirs.tpotMs,
      hearthOwnBytes: hearth.ownBytes,
      llamaOwnBytes: llama.ownBytes,
    })
    const rows = [rowOf(null, hearth, llama)]
    for (const times of options.times) {
      const memory = hearth.weightBytes / times
      const runs = await hearthRuns(file, options, options.disksBytesPerSec, hearth, memory)
      for (const [i, disk] of options.disksBytesPerSec.entries()) {
        const limits = { memoryBytes: memory + llama.ownBytes + slackBytes, readBytesPerSec: disk }
        const theirs = await llamaRun(groups, file, options, limits)
        log(
          `${times} times the memory, disk ${disk / 1e6} MB/s: Hearth ${said(runs[i]!)}, llama.cpp ${said(theirs)}`,
        )
        rows.push(rowOf(times, runs[i]!, theirs, disk))
      }
    }
    return { rows, missing: null }
  })
}

type Run = { tpotMs: number | null; ownBytes: number }

const said = ({ tpotMs }: Run) => (tpotMs === null ? 'was killed' : `${tpotMs.toFixed(0)} ms per token`)

type HearthRun = Run & {
  tpotMs: number
  streamedBytes: number
  readBytesPerSec: number | null
  weightBytes: number
  /** Of its own bytes, those in the engine: KV cache and buffers. */
  engineBytes: number
}

/** One tab, with one disk after the other. @param free how it ran uncapped, for what it needs beside `memory` */
function hearthRuns<const Disks extends readonly number[]>(
  model: string,
  { threads, genTokens, log }: MmapOptions,
  disksBytesPerSec: Disks,
  free?: HearthRun,
  memory = 0,
): Promise<{ [i in keyof Disks]: HearthRun }> {
  const budgetBytes = free ? memory + free.engineBytes : null
  return withRoom({ model, tabs: 1, budgetBytes, threads, log }, async (room) => {
    await room.choose()
    const runs: HearthRun[] = []
    for (const disk of disksBytesPerSec) {
      const { stats, devices, streams } = await room.answer(genTokens, disk)
      const { weightBytes, memoryBytes, realResidentBytes } = devices[0]!
      const { streamedBytesPerToken, readBytesPerSec } = streams[0]!
      runs.push({
        tpotMs: stats.tpotMs,
        streamedBytes: streamedBytesPerToken,
        readBytesPerSec,
        weightBytes,
        ownBytes: realResidentBytes! - weightBytes,
        engineBytes: memoryBytes - weightBytes,
      })
    }
    return runs as { [i in keyof Disks]: HearthRun }
  })
}

async function llamaRun(
  groups: ControlGroups,
  file: string,
  { threads, genTokens }: MmapOptions,
  limits: Limits = {},
): Promise<Run> {
  const folder = await mkdtemp(path.join(tmpdir(), 'hearth-llama-'))
  const group = groups.create(path.basename(folder), limits)
  try {
    const node = await group.launcher(process.execPath, path.join(folder, 'node'))
    await forget(file)
    const args = [file, threads, promptTokens, genTokens].map(String)
    return await childRun(node, args, group)
  } finally {
    await group.remove()
    await rm(folder, { recursive: true })
  }
}

/** Lets the kernel drop a file from the page cache, where it is charged to nobody: the next reader meets a cold disk. */
const forget = (file: string) =>
  promisify(execFile)('dd', [`of=${file}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'])

async function childRun(node: string, args: string[], group: ControlGroup): Promise<Run> {
  const child = spawn(node, ['--import', 'tsx', script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text) => (stdout += text))
  child.stderr.on('data', (text) => (stderr += text))
  let ownBytes = 0
  const looking = setInterval(() => {
    ownBytes = Math.max(ownBytes, group.figures().residentBytes)
  }, 100)
  const ended = await new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)))
  clearInterval(looking)
  // The kernel ends what its cap does not let live.
  if (ended === 'SIGKILL') return { tpotMs: null, ownBytes }
  if (ended !== 0) throw new Error(`llama.cpp ended with ${String(ended)}: ${stderr.slice(-500)}`)
  const { tokenMs } = JSON.parse(stdout.trim().split('\n').at(-1)!) as { tokenMs: number[] }
  return { tpotMs: tokenMs.reduce((sum, ms) => sum + ms, 0) / tokenMs.length, ownBytes }
}
