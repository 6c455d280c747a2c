/**
 * `npm run bench -w packages/halda [-- --json]`: how long planning takes, and how much worse the plans of others are, on
 * random clusters from fixed seeds. Times are processor time, so that other work on the machine counts less.
 *
 * @module
 */
import { planPaper } from './paper/plan-paper.ts'
import { createRandom, randomDevices, randomModel } from './random-cluster.fixture.ts'
import { planByMemory, planEqual, planSingle } from './solve-baseline.ts'
import { planExact } from './solve-exact.ts'
import type { DeviceProfile, ModelProfile, PlanResult } from './types.ts'

type SolverTime = { devices: number; layers: number; medianMs: number }
type Rivalry = {
  baseline: string
  /** Clusters for which a plan exists. */
  clusters: number
  /** Of these: the baseline's plan does not fit, is slower than the exact one, is as fast. */
  doesNotFit: number
  slower: number
  asFast: number
  /** Median extra time per token where it is slower. */
  medianExtraPercent: number
}

const baselines = { paper: planPaper, memory: planByMemory, equal: planEqual, single: planSingle }

function timeSolver(devices: number, layers: number): SolverTime {
  const random = createRandom(devices * 1000 + layers)
  const times = Array.from({ length: 15 }, () => {
    const model = randomModel(random, layers)
    const cluster = randomDevices(random, devices, model, 0.1 + random())
    const start = process.cpuUsage()
    planExact(cluster, model)
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1000
  })
  return { devices, layers, medianMs: median(times) }
}

async function compare(
  baseline: string,
  planner: (devices: DeviceProfile[], model: ModelProfile) => PlanResult | Promise<PlanResult>,
): Promise<Rivalry> {
  const random = createRandom(1)
  const rivalry: Rivalry = {
    baseline,
    clusters: 0,
    doesNotFit: 0,
    slower: 0,
    asFast: 0,
    medianExtraPercent: 0,
  }
  const extra: number[] = []
  for (let trial = 0; trial < 100; trial++) {
    const model = randomModel(random, 16 + Math.floor(random() * 33))
    const devices = randomDevices(random, 2 + Math.floor(random() * 5), model, 0.3 + random())
    const best = planExact(devices, model)
    if (!best.ok) continue
    rivalry.clusters++
    const other = await planner(devices, model)
    const ratio = other.ok ? other.plan.predictedTpotMs / best.plan.predictedTpotMs : Infinity
    if (!other.ok) rivalry.doesNotFit++
    else if (ratio > 1) rivalry.slower++
    else rivalry.asFast++
    if (other.ok && ratio > 1) extra.push(100 * (ratio - 1))
  }
  return { ...rivalry, medianExtraPercent: median(extra) }
}

const median = (values: readonly number[]): number =>
  Number((values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0).toFixed(1))

const solver: SolverTime[] = []
for (const [devices, layers] of [
  [4, 32],
  [8, 32],
  [8, 128],
  [16, 128],
  [64, 128],
] as const) {
  solver.push(timeSolver(devices, layers))
}
const rivals: Rivalry[] = []
for (const [name, planner] of Object.entries(baselines)) rivals.push(await compare(name, planner))

if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ solver, rivals }))
} else {
  console.table(solver)
  console.table(rivals)
}
