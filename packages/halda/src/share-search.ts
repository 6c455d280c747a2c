/**
 * The best numbers of layers for any rounds, when layers count as equal: every set of up to eight devices, every head,
 * every order, every k.
 *
 * With a bound on what any one device reads per token (`least-bound.ts`), the rest of the cost is a sum: hops of a set
 * of devices, and dynamic programming over (set, layers) for what they compute and wait. No k is tried whose hops
 * alone, with nothing waited for, would cost more than the best plan known.
 *
 * @module
 */
import { leastTpotNs } from './least-bound.ts'
import { createPartTable } from './part-table.ts'
import type { Figures } from './part.ts'
import { createShareBound, mostWithin, type ShareBound } from './share-bound.ts'
import { createTours, sizeOf, type Tours } from './tours.ts'

/** Devices by index. */
export type ShareProblem = {
  nLayers: number
  figures: readonly Figures[]
  /** ξ, [from][to]; 0 from a device to itself. */
  hopNs: readonly (readonly number[])[]
  /** A device that must be head or run layers; -1 when all may be left out. */
  member: number
  /** What a person has fixed; nothing when absent. */
  fixed?: FixedShares | undefined
}

export type FixedShares = {
  rounds: number
  /** -1: any. */
  head: number
  /** By device; undefined leaves it to the search. */
  layers: readonly (number | undefined)[]
}

export type Shares = {
  head: number
  rounds: number
  /** In running order; those without layers are not named. */
  parts: { device: number; layers: number; gpuLayers: number }[]
}

/**
 * @param belowNs only shares that take less are of interest
 * @returns what takes least, several when they take the same; none when nothing takes less
 */
export function bestShares(problem: ShareProblem, belowNs: number): Shares[] {
  const tours = createTours(problem.hopNs)
  const boundBelow = (boundNs: number) =>
    createShareBound(problem.figures, problem.nLayers, (figures, isHead) =>
      mostWithin(figures, problem.nLayers, boundNs, isHead),
    )
  const fixedRounds = problem.fixed?.rounds
  let best = { tpotNs: belowNs, rounds: 0 }
  let least = boundBelow(belowNs - 1)
  for (let rounds = fixedRounds ?? 1; rounds <= (fixedRounds ?? problem.nLayers); rounds++) {
    const pairs = promisingPairs(problem, least, tours.hopsNs(rounds), rounds, best.tpotNs)
    if (pairs.length === 0 && rounds > 1) break
    if (pairs.length === 0) continue
    const search = createSearch(problem, rounds, pairs)
    const tpotNs = leastTpotNs(search.leastPathNs, search.readsNs, best.tpotNs)
    if (tpotNs >= best.tpotNs) continue
    best = { tpotNs, rounds }
    least = boundBelow(tpotNs - 1)
  }
  const { rounds, tpotNs } = best
  if (rounds === 0) return []
  const pairs = promisingPairs(problem, boundBelow(tpotNs), tours.hopsNs(rounds), rounds, tpotNs + 1)
  return createSearch(problem, rounds, pairs).sharesOf(tpotNs, tours)
}

/**
 * By head: devices that may belong to a ring of one round whose layers all stay in memory and which takes no longer.
 *
 * @param mostLayers that can stay in a device's memory
 */
export function pinnedMembers(
  problem: ShareProblem,
  mostLayers: (device: Figures, isHead: boolean) => number,
  notAboveNs: number,
): number[][] {
  const { figures, nLayers, hopNs } = problem
  const withoutGpus = figures.map((each) => ({ ...each, gpuRoomLayers: 0 }))
  const least = createShareBound(withoutGpus, nLayers, mostLayers)
  const sets = figures.map(() => 0)
  for (const { set, head } of promisingPairs(
    problem,
    least,
    createTours(hopNs).hopsNs(1),
    1,
    notAboveNs + 1,
  )) {
    sets[head] = (sets[head] ?? 0) | set
  }
  return sets.map((set) => [...figures.keys()].filter((device) => (set & (1 << device)) !== 0))
}

/** Devices with layers, a head that may be one of them, and their hops. */
type Pair = { set: number; head: number; hopNs: number }

/** What may take less than `belowNs`, as far as the lower bound tells. */
function promisingPairs(
  { figures, nLayers, member, fixed }: ShareProblem,
  least: ShareBound,
  hopsNs: Float64Array,
  rounds: number,
  belowNs: number,
): Pair[] {
  const n = figures.length
  const pairs: Pair[] = []
  const mustRun = (fixed?.layers ?? []).reduce<number>(
    (set, layers = 0, device) => (layers > 0 ? set | (1 << device) : set),
    0,
  )
  for (let set = 1; set < 1 << n; set++) {
    // A device alone is visited once.
    if ((rounds > 1 && sizeOf(set) === 1) || sizeOf(set) * rounds > nLayers) continue
    if ((set & mustRun) !== mustRun) continue
    for (let head = 0; head < n; head++) {
      if (fixed !== undefined && fixed.head !== -1 && fixed.head !== head) continue
      if (member !== -1 && ((set | (1 << head)) & (1 << member)) === 0) continue
      const hopNs = hopsNs[set * n + head] ?? Infinity
      if (hopNs + least(set, head, rounds) < belowNs) pairs.push({ set, head, hopNs })
    }
  }
  return pairs
}

type Candidate = { set: number; head: number; headLayers: number; pathNs: number }

/** Over the given pairs, in so many rounds. */
function createSearch({ nLayers, figures, fixed }: ShareProblem, rounds: number, pairs: readonly Pair[]) {
  const tablesFor = (isHead: boolean) =>
    figures.map((each, device) =>
      createPartTable(each, { nLayers, rounds, isHead, fixedLayers: fixed?.layers[device] }),
    )
  const tables = tablesFor(false)
  const headTables = tablesFor(true)
  const wanted = new Set(pairs.map(({ set, head }) => set & ~(1 << head)))
  const allocateWithin = (boundNs: number) =>
    allocate(
      tables.map((table) => table.pathNs(boundNs)),
      nLayers,
      wanted,
    )

  /** The best of every pair. */
  function candidates(boundNs: number, sums = allocateWithin(boundNs)): Candidate[] {
    const headNs = headTables.map((table) => table.pathNs(boundNs))
    return pairs.map(({ set, head, hopNs }) => {
      const ownNs = headNs[head]
      const sumNs = sums[set & ~(1 << head)]?.costNs
      let headLayers = 0
      let leastNs = Infinity
      const [from, to] = (set & (1 << head)) === 0 ? [0, 0] : [rounds, nLayers]
      for (let layers = from; layers <= to; layers++) {
        const ns = (ownNs?.[layers] ?? Infinity) + (sumNs?.[nLayers - layers] ?? Infinity)
        if (ns < leastNs) [leastNs, headLayers] = [ns, layers]
      }
      return { set, head, headLayers, pathNs: leastNs + hopNs }
    })
  }

  return {
    leastPathNs: (boundNs: number): number => leastOf(candidates(boundNs)),
    readsNs: [...tables, ...headTables].map((table) => table.readsNs),
    /** Those of the least path within the bound. */
    sharesOf(boundNs: number, tours: Tours): Shares[] {
      const sums = allocateWithin(boundNs)
      const found = candidates(boundNs, sums)
      const leastNs = leastOf(found)
      return found
        .filter(({ pathNs }) => pathNs === leastNs)
        .map(({ set, head, headLayers }) => {
          const layers = new Map([[head, headLayers]])
          let rest = nLayers - headLayers
          for (let others = set & ~(1 << head); others !== 0;) {
            const device = highest(others)
            const share = sums[others]?.choice[rest] ?? 0
            layers.set(device, share)
            rest -= share
            others &= ~(1 << device)
          }
          const parts = tours.order(set, head, rounds).map((device) => {
            const own = layers.get(device) ?? 0
            const table = device === head ? headTables[device] : tables[device]
            return { device, layers: own, gpuLayers: table?.gpuLayers(own, boundNs) ?? 0 }
          })
          return { head, rounds, parts }
        })
    },
  }
}

const leastOf = (candidates: readonly Candidate[]): number =>
  candidates.reduce((least, { pathNs }) => Math.min(least, pathNs), Infinity)

const highest = (set: number): number => 31 - Math.clz32(set)

/** By layers: what a set of devices takes that share them out, and how many its highest device then has. */
type Allocation = { costNs: Float64Array; choice: Uint16Array }

/** For the wanted sets of devices, each of which has at least one layer, and those that lead up to them. */
function allocate(
  costs: readonly Float64Array[],
  nLayers: number,
  wanted: ReadonlySet<number>,
): (Allocation | undefined)[] {
  const needed = new Set([0])
  for (const set of wanted) {
    for (let rest = set; rest !== 0; rest &= ~(1 << highest(rest))) needed.add(rest)
  }
  const sums: (Allocation | undefined)[] = []
  for (const set of [...needed].toSorted((a, b) => a - b)) {
    const sum = {
      costNs: new Float64Array(nLayers + 1).fill(Infinity),
      choice: new Uint16Array(nLayers + 1),
    }
    sums[set] = sum
    const device = highest(set)
    const before = sums[set & ~(1 << device)]?.costNs
    const own = costs[device]
    if (set === 0) sum.costNs[0] = 0
    else if (before !== undefined && own !== undefined) addDevice(before, own, sum)
  }
  return sums
}

/** Min-plus convolution, with at least one layer for the device that is added. */
export function addDevice(before: Float64Array, own: Float64Array, { costNs, choice }: Allocation): void {
  const nLayers = before.length - 1
  const isFinite = (ns: number) => ns !== Infinity
  const first = before.findIndex(isFinite)
  if (first === -1) return
  const last = before.findLastIndex(isFinite)
  for (let share = 1; share <= nLayers; share++) {
    const shareNs = own[share] ?? Infinity
    if (shareNs === Infinity) continue
    const end = Math.min(last, nLayers - share)
    for (let others = first; others <= end; others++) {
      const ns = shareNs + (before[others] ?? Infinity)
      if (ns >= (costNs[others + share] ?? 0)) continue
      costNs[others + share] = ns
      choice[others + share] = share
    }
  }
}
