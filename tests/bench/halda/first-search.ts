/**
 * One search in a process that has never planned before, as a server's first plan is, and again after some others: prints
 * {@link FirstSearch} as JSON. Arguments: devices, layers, trial, memory.
 *
 * @module
 */
import {
  createRandom,
  randomDevices,
  randomModel,
} from '../../../packages/halda/src/random-cluster.fixture.ts'
import { planExact } from '../../../packages/halda/src/solve-exact.ts'

export type FirstSearch = {
  /** Processor time of all threads, compiling and collecting garbage too: other work on the machine counts less. */
  processorMs: number
  elapsedMs: number
  /** The same search after some of other clusters as large: what compiling took is over. */
  laterElapsedMs: number
  rounds: number | null
}

const [devices = 0, layers = 0, trial = 0] = process.argv.slice(2, 5).map(Number)
const memory = process.argv[5]
const random = createRandom(100_000 * devices + 100 * layers + trial)
const otherSearches = 5

function randomCluster() {
  const model = randomModel(random, layers)
  const together = memory === 'plenty' ? 1 + 2 * random() : 0.2 + 0.3 * random()
  return { model, cluster: randomDevices(random, devices, model, together / devices) }
}

const { model, cluster } = randomCluster()
const before = process.cpuUsage()
const startMs = performance.now()
const result = planExact(cluster, model)
const elapsedMs = performance.now() - startMs
const { user, system } = process.cpuUsage(before)
for (let i = 0; i < otherSearches; i++) {
  const other = randomCluster()
  planExact(other.cluster, other.model)
}
const laterStartMs = performance.now()
planExact(cluster, model)
const answer: FirstSearch = {
  processorMs: (user + system) / 1000,
  elapsedMs,
  laterElapsedMs: performance.now() - laterStartMs,
  rounds: result.ok ? result.plan.rounds : null,
}
process.stdout.write(JSON.stringify(answer))
