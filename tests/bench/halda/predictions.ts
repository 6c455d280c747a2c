/**
 * Predicted beside measured time per token: the cost of the plan that runs, by the profiles that the tabs measured of
 * themselves.
 *
 * @module
 */
import { planCost, type DeviceProfile } from '@hearth/halda'
import { startCluster, type RunningCluster } from '../../cluster/run-cluster.ts'
import { withModel } from '../synth-file.ts'

export type PredictionRow = {
  case: string
  tabs: number
  layers: number
  rounds: number
  /** Units that were read for every token, of all tabs, as the cost counts them. */
  streamed: number
  diskBytesPerSec: number | null
  predictedMs: number
  measuredMs: number
  /** Predicted ÷ measured − 1. */
  error: number
  /** Of each tab, as it tells; of stores that nothing streams from, too. */
  readBytesPerSec: number[]
  /** What the prediction is made of, all tabs together. */
  computeMs: number
  outputMs: number
  hopMs: number
  waitMs: number
}

export type PredictionCase = {
  /** 'demo', or so many layers of the shape of the other benches. */
  model: 'demo' | number
  tabs: number
  rounds: readonly number[]
  /** Of each tab; plenty when absent. */
  budgetBytes?: number
  diskBytesPerSec?: number
}

export const predictionCases = {
  'demo-1': { model: 'demo', tabs: 1, rounds: [1] },
  'demo-3': { model: 'demo', tabs: 3, rounds: [1, 2] },
  '2-layers-1': { model: 2, tabs: 1, rounds: [1] },
  '4-layers-2': { model: 4, tabs: 2, rounds: [1, 2] },
  '8-layers-4': { model: 8, tabs: 4, rounds: [1, 2] },
  '16-layers-1': { model: 16, tabs: 1, rounds: [1] },
  '16-layers-3': { model: 16, tabs: 3, rounds: [1, 4] },
  'streams-8-1': { model: 8, tabs: 1, rounds: [1], budgetBytes: 250e6, diskBytesPerSec: 800e6 },
  'streams-8-2': { model: 8, tabs: 2, rounds: [1, 2], budgetBytes: 150e6, diskBytesPerSec: 600e6 },
  'streams-16-2': { model: 16, tabs: 2, rounds: [1, 2, 4], budgetBytes: 220e6, diskBytesPerSec: 1000e6 },
} as const satisfies Record<string, PredictionCase>

export type CaseName = keyof typeof predictionCases

/** Positions are few, so that budgets go into weights. */
const contextLength = 512
const plentyBytes = 2e9
const prompt = [{ role: 'user' as const, content: 'MEASURE' }]

export async function measureCases(
  names: readonly CaseName[],
  genTokens: number,
  log: (line: string) => void,
): Promise<PredictionRow[]> {
  const rows: PredictionRow[] = []
  for (const name of names) {
    const chosen: PredictionCase = predictionCases[name]
    const measure = async (model: string) => {
      const cluster = await startTabs(chosen, model, log)
      try {
        for (const rounds of chosen.rounds) {
          await cluster.choose(model, rounds)
          const row = await predictAndMeasure(cluster, genTokens)
          rows.push({ case: name, ...row, diskBytesPerSec: chosen.diskBytesPerSec ?? null })
          log(
            `${name}, k = ${rounds}: predicted ${row.predictedMs.toFixed(1)} ms, measured ${row.measuredMs.toFixed(1)}`,
          )
        }
      } finally {
        await cluster.close()
      }
    }
    if (chosen.model === 'demo') await measure('demo')
    else await withModel('Q4_0', { nLayers: chosen.model, contextLength }, ({ url }) => measure(url))
  }
  return rows
}

const startTabs = (chosen: PredictionCase, model: string, log: (line: string) => void) =>
  startCluster({
    devices: chosen.tabs,
    model,
    split: 'even',
    dtype: 'f16',
    threads: 1,
    budgetsBytes: [chosen.budgetBytes ?? plentyBytes],
    ...(chosen.diskBytesPerSec === undefined ? {} : { diskBytesPerSec: chosen.diskBytesPerSec }),
    log,
    endsOnSignals: true,
  })

let asked = 0

/** So many tell what a head and what hops take. */
const warmTokens = 24
/** A device tells how fast it read a while after it last did. */
const tellingMs = 1500

/** A short answer comes first: slots are full then, stores are measured as they are read, and the head and hops as they are. */
export async function predictAndMeasure(
  cluster: RunningCluster,
  genTokens: number,
): Promise<Omit<PredictionRow, 'case' | 'diskBytesPerSec'>> {
  const chat = `halda-bench-${asked++}`
  await cluster.chat(0, `${chat}-warm`, prompt, { maxTokens: warmTokens })
  await new Promise((resolve) => setTimeout(resolve, tellingMs))
  const { room } = await cluster.state(0)
  const profiles = room!.devices.flatMap(({ profile }): DeviceProfile[] => (profile ? [profile] : []))
  const model = room!.choice!.profile
  const { plan } = room!.numbered!
  const { stats } = await cluster.chat(0, chat, prompt, { maxTokens: genTokens, drafts: 'never' })
  const positions = stats.promptTokens + stats.outputTokens / 2
  const cost = planCost(plan, profiles, model, { positions })
  const total = (of: (part: (typeof cost.devices)[number]) => number) =>
    cost.devices.reduce((sum, part) => sum + of(part), 0)
  const predictedMs = cost.tpotNs / 1e6
  return {
    tabs: profiles.length,
    layers: model.nLayers,
    rounds: plan.rounds,
    streamed: total((part) => part.streamedUnits),
    predictedMs,
    measuredMs: stats.tpotMs,
    error: predictedMs / stats.tpotMs - 1,
    readBytesPerSec: profiles.map(({ diskReadBytesPerSec }) => diskReadBytesPerSec),
    computeMs: total((part) => part.computeNs) / 1e6,
    outputMs: total((part) => part.outputNs) / 1e6,
    hopMs: total((part) => part.hopNs) / 1e6,
    waitMs: total((part) => part.waitNs) / 1e6,
  }
}
