/**
 * How long a first plan takes, on random clusters from fixed seeds: every one in a process of its own.
 *
 * @module
 */
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import type { FirstSearch } from './first-search.ts'
import { median } from '../../../packages/engine/src/median.ts'

export type SolverTime = {
  devices: number
  layers: number
  /** 'plenty': all devices together hold the model one to three times; 'short': a fifth to a half of it. */
  memory: 'plenty' | 'short'
  processorMs: { median: number; most: number }
  elapsedMs: { median: number; most: number }
  /** Where the process has planned before. */
  laterElapsedMs: { median: number; most: number }
  /** Largest k of the plans. */
  mostRounds: number
}

/** Devices and layers. */
const sizes = [
  [4, 32],
  [8, 32],
  [8, 128],
  [16, 128],
  [64, 128],
] as const
const trials = 15

export async function timeSolver(log: (line: string) => void): Promise<SolverTime[]> {
  const rows: SolverTime[] = []
  for (const [devices, layers] of sizes) {
    for (const memory of ['plenty', 'short'] as const) {
      const searches: FirstSearch[] = []
      for (let trial = 0; trial < trials; trial++)
        searches.push(await searchOnce(devices, layers, trial, memory))
      const row = {
        devices,
        layers,
        memory,
        processorMs: spreadOf(searches.map((each) => each.processorMs)),
        elapsedMs: spreadOf(searches.map((each) => each.elapsedMs)),
        laterElapsedMs: spreadOf(searches.map((each) => each.laterElapsedMs)),
        mostRounds: Math.max(...searches.map(({ rounds }) => rounds ?? 1)),
      }
      log(
        `${devices} devices, ${layers} layers, ${memory}: ${row.processorMs.median.toFixed(0)} ms of processor time`,
      )
      rows.push(row)
    }
  }
  return rows
}

const run = promisify(execFile)
const script = path.resolve(import.meta.dirname, 'first-search.ts')

async function searchOnce(
  devices: number,
  layers: number,
  trial: number,
  memory: string,
): Promise<FirstSearch> {
  const { stdout } = await run(process.execPath, [
    '--import',
    import.meta.resolve('tsx'),
    script,
    ...[devices, layers, trial].map(String),
    memory,
  ])
  return JSON.parse(stdout) as FirstSearch
}

const spreadOf = (values: readonly number[]) => ({ median: median(values), most: Math.max(...values) })
