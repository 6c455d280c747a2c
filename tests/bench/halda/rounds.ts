/**
 * A model larger than the memory of two tabs: the number of rounds that the planner chooses, beside one round of the
 * same layers.
 *
 * @module
 */
import type { PlanRequest } from '@hearth/halda'
import { startCluster } from '../../cluster/run-cluster.ts'
import { withModel } from '../synth-file.ts'
import { predictAndMeasure, type PredictionRow } from './predictions.ts'

const shape = { nLayers: 16, contextLength: 512 }
const options = {
  devices: 2,
  split: 'fastest',
  dtype: 'f16',
  threads: 1,
  budgetsBytes: [220e6],
  diskBytesPerSec: 1000e6,
  endsOnSignals: true,
} as const

/** The planner's own plan first, then the same shares in one round; no rows when it chooses one round. */
export function chooseRounds(genTokens: number, log: (line: string) => void): Promise<PredictionRow[]> {
  return withModel('Q4_0', shape, async ({ url }) => {
    const cluster = await startCluster({ ...options, model: url, log })
    const { diskBytesPerSec } = options
    const measure = async (name: string) => {
      const row = await predictAndMeasure(cluster, genTokens)
      log(
        `${name}, k = ${row.rounds}: predicted ${row.predictedMs.toFixed(1)} ms, measured ${row.measuredMs.toFixed(1)}`,
      )
      return { case: name, ...row, diskBytesPerSec }
    }
    try {
      // The store's speed is known once something streamed; then the planner is asked again.
      await cluster.choose(url)
      await measure('first plan')
      await cluster.choose(url)
      const chosen = await measure('chosen')
      const { plan } = (await cluster.state(0)).room!.numbered!
      const layers: Record<string, number> = {}
      for (const window of plan.windows) layers[window.device] = (layers[window.device] ?? 0) + window.layers
      const request: PlanRequest = { split: 'manual', layers, rounds: 1, head: plan.head }
      await cluster.pages[0]!.evaluate(([source, request]) => window.hearth.choose(source, request), [
        url,
        request,
      ] as const)
      await cluster.pages[0]!.waitForFunction(() => window.hearth.state().room?.numbered?.plan.rounds === 1)
      await cluster.waitUntilReady()
      const inOneRound = await measure('one round')
      return [chosen, inOneRound]
    } finally {
      await cluster.close()
    }
  })
}
