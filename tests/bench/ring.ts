/**
 * What the ring costs: two tabs with one thread each, beside one tab with one thread.
 *
 * @module
 */
import type { Plan } from '@hearth/halda'
import { median } from '../../packages/engine/src/median.ts'
import { lackOfOwnCores } from '../cluster/own-cores.ts'
import { startCluster, type RunningCluster } from '../cluster/run-cluster.ts'
import { spreadOf, takeTurns, type Spread } from './turns.ts'

export type RingRow = {
  /** Of each tab for itself, as devices have them, or of all tabs together. */
  cores: 'own' | 'shared'
  tabs: number
  /** Trips round the ring per token. */
  rounds: number
  hopsPerToken: number
  /** The median turn's. */
  tpotMs: number
  /** What a token takes longer than in one tab within the same turn, by hops; null without hops. */
  msPerHop: Spread | null
}

export type RingOptions = { genTokens: number; turns: number; log(line: string): void }

const cases = [
  { tabs: 1, rounds: 1 },
  { tabs: 2, rounds: 1 },
  { tabs: 2, rounds: 4 },
]
const messages = [{ role: 'user' as const, content: 'MEASURE' }]

export async function measureRing(file: string, options: RingOptions): Promise<RingRow[]> {
  const shared = await measureOn('shared', file, options)
  const lack = lackOfOwnCores(2)
  if (lack === null) return [...(await measureOn('own', file, options)), ...shared]
  options.log(lack)
  return shared
}

/** All tabs stay open: one that is not asked rests. */
async function measureOn(
  cores: RingRow['cores'],
  file: string,
  { genTokens, turns, log }: RingOptions,
): Promise<RingRow[]> {
  const clusters: RunningCluster[] = []
  const hops: number[] = []
  try {
    for (const { tabs, rounds } of cases) {
      const cluster = await startCluster({
        devices: tabs,
        model: file,
        split: 'even',
        rounds,
        dtype: 'f16',
        threads: 1,
        ownCores: cores === 'own',
      })
      clusters.push(cluster)
      hops.push(hopsOf(await cluster.choose(file)))
    }
    const askers = clusters.map((cluster) => async () => {
      // After an answer devices tell what it took, and another plan may come: whoever rests loads nothing.
      for (const each of clusters) await each.waitUntilReady()
      const { stats } = await cluster.chat(0, 'ring-bench', messages, {
        maxTokens: genTokens,
        drafts: 'never',
      })
      return stats.tpotMs
    })
    const plans = async () => {
      const states = await Promise.all(clusters.map((cluster) => cluster.state(0)))
      return states.map(({ room }) => room?.numbered?.number).join(' ')
    }
    const tpotMs = await takeTurns(askers, turns, plans)
    return cases.map(({ tabs, rounds }, i): RingRow => {
      const perHop = tpotMs[i]!.map((ms, turn) => (ms - tpotMs[0]![turn]!) / hops[i]!)
      log(
        `${cores} cores, ${tabs} tabs, k = ${rounds}, ms per token in each turn: ${tpotMs[i]!.map((ms) => ms.toFixed(1)).join(' ')}`,
      )
      return {
        cores,
        tabs,
        rounds,
        hopsPerToken: hops[i]!,
        tpotMs: median(tpotMs[i]!),
        msPerHop: hops[i] === 0 ? null : spreadOf(perHop),
      }
    })
  } finally {
    for (const cluster of clusters) await cluster.close()
  }
}

/** From the head through all windows and back. */
function hopsOf({ head, windows }: Plan): number {
  const stations = [head, ...windows.map(({ device }) => device), head]
  return stations.filter((device, i) => i > 0 && device !== stations[i - 1]).length
}
