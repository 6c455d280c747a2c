/**
 * What the ring costs: two tabs with one thread each, beside one tab with one thread.
 *
 * @module
 */
import type { Plan } from '@hearth/halda'
import { median } from '../../packages/engine/src/median.ts'
import { startCluster, type RunningCluster } from '../cluster/run-cluster.ts'

export type RingRow = {
  tabs: number
  /** Trips round the ring per token. */
  rounds: number
  hopsPerToken: number
  tpotMs: number
  /** What a token takes longer than in one tab, by hops. */
  msPerHop: number | null
}

export type RingOptions = { genTokens: number; rounds: number; log(line: string): void }

export async function measureRing(file: string, { genTokens, rounds, log }: RingOptions): Promise<RingRow[]> {
  const clusters: RunningCluster[] = []
  try {
    for (const devices of [1, 2]) {
      clusters.push(await startCluster({ devices, model: file, split: 'even', dtype: 'f16', threads: 1 }))
    }
    const [one, two] = clusters as [RunningCluster, RunningCluster]
    const cases = [
      { cluster: one, tabs: 1, trips: 1, tpotMs: [] as number[], hops: 0 },
      { cluster: two, tabs: 2, trips: 1, tpotMs: [] as number[], hops: 0 },
      { cluster: two, tabs: 2, trips: 4, tpotMs: [] as number[], hops: 0 },
    ]
    for (let round = 0; round < rounds; round++) {
      for (const measured of cases) {
        const { cluster, tabs, trips, tpotMs } = measured
        measured.hops = hopsOf(await cluster.choose(file, trips))
        const messages = [{ role: 'user' as const, content: 'MEASURE' }]
        const { stats } = await cluster.chat(0, `bench-${round}-${tabs}-${trips}`, messages, {
          maxTokens: genTokens,
          drafts: 'never',
        })
        log(`${tabs} tabs, k = ${trips}: ${stats.tpotMs.toFixed(2)} ms per token`)
        tpotMs.push(stats.tpotMs)
      }
    }
    const aloneMs = median(cases[0]!.tpotMs)
    return cases.map(({ tabs, trips, tpotMs, hops }) => ({
      tabs,
      rounds: trips,
      hopsPerToken: hops,
      tpotMs: median(tpotMs),
      msPerHop: hops === 0 ? null : (median(tpotMs) - aloneMs) / hops,
    }))
  } finally {
    for (const cluster of clusters) await cluster.close()
  }
}

/** From the head through all windows and back. */
function hopsOf({ head, windows }: Plan): number {
  const stations = [head, ...windows.map(({ device }) => device), head]
  return stations.filter((device, i) => i > 0 && device !== stations[i - 1]).length
}
