/**
 * Halda as published (arXiv 2504.08791v2, algorithm 1), with the choices the paper leaves open made as prima.cpp makes
 * them: the baseline that Hearth's exact planner is measured against.
 *
 * It guesses which devices run short of memory, solves an integer program for every k under that guess, and guesses
 * again from the solution until the guess stands. The guess may be wrong at the end: `solve-paper-exact.ts` finds the
 * minimum of the same cost without one.
 *
 * @module
 */
import { assignSets, type DeviceSet } from './device-sets.ts'
import { constantMs, layerProgram } from './layer-program.ts'
import type { MilpSolver } from './milp.ts'
import { budgetBytes, gpuRoomLayers, type PaperProblem, type PaperSplit } from './paper-problem.ts'

/** Where the paper, the program of the first version and that of July 2025 differ. */
export type PaperRules = {
  /** First guess: all layers of a device with a GPU run there (n = w), or none (n = 0, as in the paper). */
  startOnGpu: boolean
  /** No calibration while some device is left with one layer and no GPU layer: it will be removed anyway. */
  weakDevicesFirst: boolean
  headPriority: number
}

export const publishedRules: PaperRules = { startOnGpu: false, weakDevicesFirst: false, headPriority: 1 }
/** prima.cpp at bdf9d8e7 (17 July 2025). */
export const july2025Rules: PaperRules = { startOnGpu: true, weakDevicesFirst: true, headPriority: 1.01 }

export type PaperAnswer = {
  split: PaperSplit
  objectiveMs: number
  /** Of the last programs solved; a k without a feasible program is missing. */
  objectiveMsByK: ReadonlyMap<number, number>
  sets: DeviceSet[]
  /** Devices that calibration forced into M4, in that order. */
  forced: number[]
}

/** @returns null when no program was feasible: the published algorithm has no answer then, though one may exist */
export async function solvePaper(
  problem: PaperProblem,
  milp: MilpSolver,
  rules: PaperRules = publishedRules,
): Promise<PaperAnswer | null> {
  const forced = new Set<number>()
  const seen = new Set<string>()
  let split = firstSplit(problem, rules)
  let answer: PaperAnswer | null = null

  for (;;) {
    const sets = assignSets(problem, split, forced)
    // The paper stops when the sets no longer change; sets met before would lead round in a circle.
    if (seen.has(sets.join())) return answer
    seen.add(sets.join())

    const next = await bestOverK(problem, sets, milp, rules)
    if (next === null) return answer
    answer = { ...next, sets, forced: [...forced] }

    const layersPerRound = problem.nLayers / split.k
    if (isLopsided(problem, next.split, sets, layersPerRound, rules)) {
      const slowest = slowestOverloaded(problem, sets)
      if (slowest === null) return answer
      forced.add(slowest)
    } else {
      split = next.split
    }
  }
}

/** As {@link solvePaper}, then again without the devices that got one layer, until none is left but the head. */
export async function solvePaperWithSelection(
  problem: PaperProblem,
  milp: MilpSolver,
  rules: PaperRules = publishedRules,
): Promise<PaperAnswer | null> {
  let kept = [...problem.devices.keys()]
  for (;;) {
    const devices = kept.flatMap((m) => problem.devices[m] ?? [])
    const answer = await solvePaper({ ...problem, devices }, milp, rules)
    if (answer === null) return null
    const { k, w, n } = answer.split
    const remaining = kept.filter((m, index) => m === 0 || (w[index] ?? 0) > 1)
    if (remaining.length === kept.length) {
      const spread = (values: number[]) => problem.devices.map((_, m) => values[kept.indexOf(m)] ?? 0)
      return { ...answer, split: { k, w: spread(w), n: spread(n) } }
    }
    kept = remaining
  }
}

/** In proportion to memory; no device without a layer; what rounding left over to the largest or from the smallest. */
export function firstSplit({ nLayers, devices }: PaperProblem, rules: PaperRules): PaperSplit {
  const budgets = devices.map(budgetBytes)
  const total = budgets.reduce((sum, each) => sum + each, 0)
  const w = budgets.map((budget) => Math.round((budget / total) * nLayers))
  for (const [m, layers] of w.entries()) {
    if (layers > 0) continue
    w[m] = 1
    const most = Math.max(...w)
    if (most > 1) w[w.indexOf(most)] = most - 1
  }
  const missing = nLayers - w.reduce((sum, each) => sum + each, 0)
  const m = budgets.indexOf(missing > 0 ? Math.max(...budgets) : Math.min(...budgets))
  w[m] = (w[m] ?? 0) + missing
  const n = devices.map(({ gpu }, index) => (rules.startOnGpu && gpu !== 'none' ? (w[index] ?? 0) : 0))
  return { k: 1, w, n }
}

type Solved = { split: PaperSplit; objectiveMs: number; objectiveMsByK: Map<number, number> }

async function bestOverK(
  problem: PaperProblem,
  sets: readonly DeviceSet[],
  milp: MilpSolver,
  rules: PaperRules,
): Promise<Solved | null> {
  const objectiveMsByK = new Map<number, number>()
  let best: Solved | null = null
  for (let k = 1; k <= problem.nLayers / 2; k++) {
    if (problem.nLayers % k !== 0) continue
    const solution = await milp(layerProgram(problem, sets, k, rules.headPriority))
    if (solution === null) continue
    const objectiveMs = solution.cost + constantMs(problem, sets, k)
    objectiveMsByK.set(k, objectiveMs)
    if (best !== null && objectiveMs >= best.objectiveMs) continue
    const column = (name: string) => problem.devices.map((_, m) => solution.values[`${name}${m}`] ?? 0)
    best = { split: { k, w: column('w'), n: column('n') }, objectiveMs, objectiveMsByK }
  }
  return best
}

/** Calibration: one GPU has room to spare while another device is overloaded. */
function isLopsided(
  problem: PaperProblem,
  { w, n }: PaperSplit,
  sets: readonly DeviceSet[],
  layersPerRound: number,
  rules: PaperRules,
): boolean {
  let hasSpareGpu = false
  let isOverloaded = false
  for (const [m, device] of problem.devices.entries()) {
    const [layers, gpuLayers] = [w[m] ?? 0, n[m] ?? 0]
    if (rules.weakDevicesFirst && layers === 1 && gpuLayers === 0) return false
    if (device.gpu === 'none') {
      isOverloaded ||= sets[m] !== 'M4'
      continue
    }
    const room = Math.floor((layersPerRound / problem.nLayers) * gpuRoomLayers(problem, device, m))
    hasSpareGpu ||= gpuLayers < room
    isOverloaded ||= layers > gpuLayers
  }
  return hasSpareGpu && isOverloaded
}

function slowestOverloaded(problem: PaperProblem, sets: readonly DeviceSet[]): number | null {
  let slowest: number | null = null
  let speed = Infinity
  for (const [m, { diskBytesPerSec }] of problem.devices.entries()) {
    if (sets[m] !== 'M4' && diskBytesPerSec < speed) [slowest, speed] = [m, diskBytesPerSec]
  }
  return slowest
}
