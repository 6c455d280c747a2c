/**
 * What the ring costs: two tabs with one thread each, beside one tab with one thread.
 *
 * @module
 */
import path from 'node:path'
import type { Plan } from '@hearth/halda'
import { median } from '../../packages/engine/src/node/measure-speed.ts'
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
        measured.hops = hopsOf(await choose(cluster, file, trips))
        const messages = [{ role: 'user' as const, content: 'MEASURE' }]
        const { stats } = await cluster.chat(0, `bench-${round}-${tabs}-${trips}`, messages, {
          maxTokens: genTokens,
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

/** Shares the layers evenly over `trips` trips per token and waits until everybody is ready for it. */
async function choose(cluster: RunningCluster, file: string, trips: number): Promise<Plan> {
  const source = `/models/${path.basename(file)}`
  const page = cluster.pages[0]!
  await page.evaluate(([source, rounds]) => window.hearth.choose(source, { split: 'even', rounds }), [
    source,
    trips,
  ] as const)
  await page.waitForFunction((rounds) => window.hearth.state().room?.numbered?.plan.rounds === rounds, trips)
  await cluster.waitUntilReady()
  return (await cluster.state(0)).room!.numbered!.plan
}

/** From the head through all windows and back. */
function hopsOf({ head, windows }: Plan): number {
  const stations = [head, ...windows.map(({ device }) => device), head]
  return stations.filter((device, i) => i > 0 && device !== stations[i - 1]).length
}
