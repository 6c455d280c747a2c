/**
 * One search in a process that has never planned before, as a server's first plan is: prints {@link FirstSearch} as JSON.
 * Arguments: devices, layers, trial, memory.
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
  rounds: number | null
}

const [devices = 0, layers = 0, trial = 0] = process.argv.slice(2, 5).map(Number)
const memory = process.argv[5]
const random = createRandom(100_000 * devices + 100 * layers + trial)
const model = randomModel(random, layers)
const together = memory === 'plenty' ? 1 + 2 * random() : 0.2 + 0.3 * random()
const cluster = randomDevices(random, devices, model, together / devices)
const before = process.cpuUsage()
const startMs = performance.now()
const result = planExact(cluster, model)
const elapsedMs = performance.now() - startMs
const { user, system } = process.cpuUsage(before)
const answer: FirstSearch = {
  processorMs: (user + system) / 1000,
  elapsedMs,
  rounds: result.ok ? result.plan.rounds : null,
}
process.stdout.write(JSON.stringify(answer))
