/**
 * How much worse the plans of others are, on random clusters from fixed seeds, judged by the same cost.
 *
 * @module
 */
import { planPaper } from '../../../packages/halda/src/paper/plan-paper.ts'
import {
  createRandom,
  randomDevices,
  randomModel,
} from '../../../packages/halda/src/random-cluster.fixture.ts'
import { planByMemory, planEqual, planSingle } from '../../../packages/halda/src/solve-baseline.ts'
import { planExact, type DeviceProfile, type ModelProfile, type PlanResult } from '@hearth/halda'
import { median } from '../../../packages/engine/src/median.ts'

export type Rivalry = {
  baseline: string
  /** Clusters for which there is an exact plan. */
  clusters: number
  /** Of these: the baseline's plan does not fit, is slower than the exact one, as fast, faster. */
  doesNotFit: number
  slower: number
  asFast: number
  faster: number
  /** Extra time per token where it is slower. */
  medianExtraPercent: number
  p90ExtraPercent: number
}

type Baseline = (devices: DeviceProfile[], model: ModelProfile) => PlanResult | Promise<PlanResult>

const baselines: Readonly<Record<string, Baseline>> = {
  paper: (devices, model) => planPaper(devices, model),
  memory: planByMemory,
  equal: planEqual,
  single: planSingle,
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
    const p90ExtraPercent = extra.toSorted((a, b) => a - b)[Math.floor(0.9 * extra.length)] ?? 0
    rivals.push({ ...rivalry, medianExtraPercent: median(extra), p90ExtraPercent })
  }
  return rivals
}
