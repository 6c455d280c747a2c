/**
 * The default planner: the plan with the lowest predicted TPOT, found exactly under the cost of `cost.ts`.
 *
 * Two searches, the better answer wins: rings of one round whose layers all stay in memory by the bytes of every single
 * layer (`pinned-rings.ts`), and plans of any rounds, whose layers may stream or run on GPUs, by counts
 * (`share-search.ts`). Of plans that take the same, the one with the lower TTFT is taken, then that of fewer devices,
 * then of fewer hops, then of lower device ids. (Where layers differ in size, two windows can fill a memory better than
 * one; such plans are not considered.)
 *
 * All orders of up to `exactOrderDevices` devices are considered. Of more devices, a first ring is found by an estimate
 * of hops (`share-estimate.ts`); its devices, or the first eight of them, filled up with the fastest others, are then
 * planned exactly.
 *
 * @module
 */
import { checkProfiles } from './check.ts'
import { createPricer, type PlanCost } from './cost.ts'
import { figuresOf } from './part.ts'
import { pinnedRings } from './pinned-rings.ts'
import { noPlanSentence } from './sentence.ts'
import { estimateShares } from './share-estimate.ts'
import { bestShares, pinnedTpotNs, type FixedShares, type ShareProblem, type Shares } from './share-search.ts'
import { alphaNs, decodePass, layerKvBytes, nsPerMs, xiNs } from './symbols.ts'
import { createTours } from './tours.ts'
import type { DeviceId, DeviceProfile, ModelProfile, Plan, PlanResult, Workload } from './types.ts'
import { spread } from './windows.ts'

export const exactOrderDevices = 8

/** Deterministic: the order of `devices` does not matter. */
export const planExact = (
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  workload: Workload = {},
): PlanResult => planWith(devices, model, undefined, workload)

/**
 * The best plan in which a device has a part, as head or with layers; asked to explain why it has none.
 *
 * @param member leaves everything open when undefined
 */
export function planWith(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  member: DeviceId | undefined,
  workload: Workload = {},
): PlanResult {
  const problem = checkProfiles(devices, model)
  if (problem !== null) return { ok: false, code: 'bad-profile', message: problem }

  const sorted = devices.toSorted((a, b) => (a.device < b.device ? -1 : 1))
  const plan = cheapest({ devices: sorted, model, workload, member })
  return plan === null
    ? { ok: false, code: 'no-plan', message: noPlanSentence(sorted, model) }
    : { ok: true, plan }
}

/**
 * The best plan in which some devices run as many layers as a person says, in so many rounds; counted as plans that
 * stream are. In any order, with devices by rising id.
 *
 * @param layers by device; who is not named gets what is best
 * @returns null when there is none
 */
export function planAround(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  layers: ReadonlyMap<DeviceId, number>,
  { rounds, head }: { rounds: number; head: DeviceId | undefined },
  workload: Workload = {},
): Plan | null {
  const all: Problem = { devices, model, workload, member: undefined }
  const given = [...layers.keys(), ...(head === undefined ? [] : [head])]
  const few = devices.length <= exactOrderDevices ? devices : mostPromising(all, given)
  const fixed: FixedShares = {
    rounds,
    head: few.findIndex(({ device }) => device === head),
    layers: few.map(({ device }) => layers.get(device)),
  }
  const problem: Problem = { ...all, devices: few, fixed }
  const choice = createChoice(problem)
  const shareProblem = toShareProblem(problem)
  const tours = createTours(shareProblem.hopNs)
  for (const shares of bestShares(shareProblem, tours, choice.bestNs())) choice.offer(toPlan(shares, few))
  return choice.best()
}

/** Devices by rising id. */
type Problem = {
  devices: readonly DeviceProfile[]
  model: ModelProfile
  workload: Workload
  member: DeviceId | undefined
  fixed?: FixedShares | undefined
}

function cheapest(problem: Problem): Plan | null {
  const { devices, member } = problem
  const choice = createChoice(problem)
  if (devices.length <= exactOrderDevices) {
    chooseExactly(problem, choice)
    return choice.best()
  }
  const shares = member === undefined ? estimateShares(toShareProblem(problem), choice.bestNs()) : null
  if (shares !== null) choice.offer(toPlan(shares, devices))
  const first = choice.best()
  const devicesOfFirst = first === null ? [] : [first.head, ...first.windows.map(({ device }) => device)]
  const given = [...(member === undefined ? [] : [member]), ...devicesOfFirst]
  chooseExactly({ ...problem, devices: mostPromising(problem, given) }, choice)
  return choice.best()
}

function chooseExactly(problem: Problem, choice: Choice): void {
  const shareProblem = toShareProblem(problem)
  const tours = createTours(shareProblem.hopNs)
  // What is known to be possible leaves out most of what would be tried otherwise.
  const possibleNs = pinnedTpotNs(shareProblem, tours)
  const ringProblem = { model: problem.model, shares: shareProblem, tours }
  let belowNs = Math.min(choice.bestNs(), possibleNs + 1)
  for (const ring of pinnedRings(ringProblem, Math.min(choice.bestNs(), possibleNs))) {
    choice.offer(toPlan(ring, problem.devices))
    belowNs = choice.bestNs() + 1
  }
  for (const shares of bestShares(shareProblem, tours, belowNs)) {
    choice.offer(toPlan(shares, problem.devices))
  }
}

type Choice = {
  offer(plan: Plan): void
  best(): Plan | null
  /** More than any plan takes while there is none. */
  bestNs(): number
}

function createChoice({ devices, model, workload }: Problem): Choice {
  const price = createPricer(devices, model, workload)
  let best: { plan: Plan; rank: readonly number[]; tpotNs: number } | null = null
  return {
    offer(plan) {
      const cost = price(plan)
      const rank = rankOf(cost)
      if (best !== null && !isLower(rank, best.rank)) return
      best = { plan: { ...plan, predictedTpotMs: cost.tpotNs / nsPerMs }, rank, tpotNs: cost.tpotNs }
    },
    best: () => best?.plan ?? null,
    bestNs: () => best?.tpotNs ?? Number.MAX_SAFE_INTEGER,
  }
}

/** What makes a plan better than another, the weightiest first. */
export const rankOf = ({ tpotNs, ttftNs, hops, devices }: PlanCost): readonly number[] => [
  tpotNs,
  ttftNs,
  devices.filter(({ memoryBytes, layers }) => memoryBytes > 0 || layers > 0).length,
  hops,
]

export function isLower(a: readonly number[], b: readonly number[]): boolean {
  const index = a.findIndex((value, i) => value !== b[i])
  return index !== -1 && (a[index] ?? 0) < (b[index] ?? 0)
}

function toShareProblem({ devices, model, workload, member, fixed }: Problem): ShareProblem {
  const pass = decodePass(model, workload)
  const kvBytes = layerKvBytes(model, workload)
  return {
    nLayers: model.nLayers,
    figures: devices.map((device) => figuresOf(device, model, pass, kvBytes)),
    hopNs: hopsBetween(devices),
    member: devices.findIndex(({ device }) => device === member),
    fixed,
  }
}

/** The given devices, as far as `exactOrderDevices` goes, and the fastest of the others. */
function mostPromising({ devices, model, workload }: Problem, given: readonly DeviceId[]): DeviceProfile[] {
  const pass = decodePass(model, workload)
  const rank = (device: DeviceProfile): number =>
    given.includes(device.device) ? 0 : alphaNs(device, model, pass)
  const chosen = new Set(devices.toSorted((a, b) => rank(a) - rank(b)).slice(0, exactOrderDevices))
  return devices.filter((device) => chosen.has(device))
}

const hopsBetween = (devices: readonly DeviceProfile[]): number[][] =>
  devices.map((from) => devices.map((to) => xiNs(from, to.device)))

function toPlan({ head, rounds, parts }: Shares, devices: readonly DeviceProfile[]): Plan {
  const idOf = (index: number): DeviceId => {
    const profile = devices[index]
    if (profile === undefined) throw new RangeError(`No device ${index}`)
    return profile.device
  }
  const shares = parts.map(({ device, ...share }) => ({ ...share, device: idOf(device) }))
  return { head: idOf(head), rounds, windows: spread(shares, rounds), predictedTpotMs: 0 }
}
