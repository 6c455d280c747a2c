/**
 * How long planning takes, and how much worse the plans of others are, on random clusters from fixed seeds, for
 * `npm run bench -- halda`. Times are processor time, so that other work on the machine counts less.
 *
 * @module
 */
import { planPaper } from './paper/plan-paper.ts'
import { createRandom, randomDevices, randomModel } from './random-cluster.fixture.ts'
import { planByMemory, planEqual, planSingle } from './solve-baseline.ts'
import { planExact } from './solve-exact.ts'
import type { DeviceProfile, ModelProfile, PlanResult } from './types.ts'

export type SolverTime = {
  devices: number
  layers: number
  /** 'plenty': all devices together hold the model once or more; 'short': a fifth to a half of it. */
  memory: 'plenty' | 'short'
  medianMs: number
  slowestMs: number
  /** Largest k of the plans. */
  mostRounds: number
}

export type Rivalry = {
  baseline: string
  /** Clusters for which there is an exact plan. */
  clusters: number
  /** Of these: the baseline's plan does not fit, is slower than the exact one, as fast, faster. */
  doesNotFit: number
  slower: number
  asFast: number
  faster: number
  /** Median extra time per token where it is slower. */
  medianExtraPercent: number
}

type Baseline = (devices: DeviceProfile[], model: ModelProfile) => PlanResult | Promise<PlanResult>

const baselines: Readonly<Record<string, Baseline>> = {
  paper: (devices, model) => planPaper(devices, model),
  memory: planByMemory,
  equal: planEqual,
  single: planSingle,
}

export function timeSolver(devices: number, layers: number, memory: SolverTime['memory']): SolverTime {
  const random = createRandom(devices * 1000 + layers)
  const times: number[] = []
  let mostRounds = 1
  for (let trial = 0; trial < 15; trial++) {
    const model = randomModel(random, layers)
    const together = memory === 'plenty' ? 1 + 2 * random() : 0.2 + 0.3 * random()
    const cluster = randomDevices(random, devices, model, together / devices)
    const start = process.cpuUsage()
    const result = planExact(cluster, model)
    const { user, system } = process.cpuUsage(start)
    times.push((user + system) / 1000)
    if (result.ok) mostRounds = Math.max(mostRounds, result.plan.rounds)
  }
  return { devices, layers, memory, medianMs: median(times), slowestMs: Math.max(...times), mostRounds }
}

/** Every baseline on the same random clusters of two to six devices, many of which do not hold their model. */
export async function comparePlanners(trials = 500): Promise<Rivalry[]> {
  const rivals: Rivalry[] = []
  for (const [baseline, planner] of Object.entries(baselines)) {
    const random = createRandom(1)
    const rivalry = { baseline, clusters: 0, doesNotFit: 0, slower: 0, asFast: 0, faster: 0 }
    const extra: number[] = []
    for (let trial = 0; trial < trials; trial++) {
      const model = randomModel(random, 16 + Math.floor(random() * 33))
      const devices = randomDevices(random, 2 + Math.floor(random() * 5), model, 0.1 + random())
      const best = planExact(devices, model)
      if (!best.ok) continue
      rivalry.clusters++
      const other = await planner(devices, model)
      const ratio = other.ok ? other.plan.predictedTpotMs / best.plan.predictedTpotMs : Infinity
      if (!other.ok) rivalry.doesNotFit++
      else if (ratio > 1) rivalry.slower++
      else if (ratio < 1) rivalry.faster++
      else rivalry.asFast++
      if (other.ok && ratio > 1) extra.push(100 * (ratio - 1))
    }
    rivals.push({ ...rivalry, medianExtraPercent: median(extra) })
  }
  return rivals
}

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
