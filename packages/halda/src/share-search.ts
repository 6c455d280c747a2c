/**
 * The best numbers of layers for any rounds: every set of up to eight devices, every head, every order, every k.
 *
 * What a set takes at least (`share-bound.ts`) says in which order to look at sets, and when to stop: most are never
 * looked at. With a bound on what any one device reads per token (`least-bound.ts`) the cost of a set is a sum, which
 * dynamic programming minimises (`min-plus.ts`). No k is tried whose hops alone, with nothing waited for, would cost
 * more than the best plan known.
 *
 * @module
 */
import { leastTpotNs } from './least-bound.ts'
import { createShareOut } from './min-plus.ts'
import { createPartTable, leastLayerNs, type Column, type PartTable } from './part-table.ts'
import { pinnedLayers, type Figures } from './part.ts'
import { createShareBound, type ShareBound } from './share-bound.ts'
import { membersOf, sizeOf, type Tours } from './tours.ts'

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
 * @param tours of the problem's hops
 * @param belowNs only shares that take less are of interest
 * @returns what takes least, several when they take the same; none when nothing takes less
 */
export function bestShares(problem: ShareProblem, tours: Tours, belowNs: number): Shares[] {
  const { nLayers, fixed } = problem
  const [first, last] = fixed === undefined ? [1, nLayers] : [fixed.rounds, fixed.rounds]
  let tpotNs = belowNs
  let best: Search | null = null
  let inOneRound: Search | null = null
  for (let rounds = first; rounds <= last; rounds++) {
    const sets: readonly number[] = inOneRound?.setsFor(rounds, tpotNs) ?? everySet(problem)
    if (sets.length === 0) break
    const search = createSearch(problem, tours, rounds, sets, tpotNs)
    if (rounds === 1) inOneRound = search
    const leastNs = search.leastTpotNs()
    if (leastNs < tpotNs) [tpotNs, best] = [leastNs, search]
  }
  return best?.sharesWithin(tpotNs) ?? []
}

/**
 * Rings of one round, without GPUs, that may take less than `belowNs` if all their layers stay in memory.
 *
 * @param mostLayers that can stay in a device's memory; -1 when not even none
 */
export function pinnedPairs(
  problem: ShareProblem,
  tours: Tours,
  mostLayers: MostLayers,
  belowNs: number,
): Pair[] {
  const bound = pinnedBound(problem, mostLayers)
  return candidates(problem, tours, 1, everySet(problem), bound, belowNs).flatMap(({ set }) =>
    pairsOf(problem, tours, 1, bound, set, belowNs),
  )
}

type MostLayers = (device: number, isHead: boolean) => number

/** What takes least in one round if all layers stay in memory wherever windows lie; Infinity where they cannot. */
export function pinnedTpotNs(problem: ShareProblem, tours: Tours): number {
  const bound = pinnedBound(problem, (device, isHead) => pinnedLayers(problem.figures[device]!, isHead))
  let tpotNs = Infinity
  for (const { set, leastNs } of candidates(problem, tours, 1, everySet(problem), bound, Infinity)) {
    if (leastNs >= tpotNs) break
    const [pair] = pairsOf(problem, tours, 1, bound, set, tpotNs)
    // Each layer costs a device as much as the next, so the bound is what they take.
    tpotNs = Math.min(tpotNs, pair?.leastNs ?? Infinity)
  }
  return tpotNs
}

function pinnedBound({ nLayers, figures }: ShareProblem, mostLayers: MostLayers): ShareBound {
  const columnsFor = (isHead: boolean) =>
    figures.map((each, device): Column => {
      const most = mostLayers(device, isHead)
      const firstNs = isHead ? each.kappaNs : 0
      const column = new Float64Array(nLayers + 1).fill(Infinity)
      for (let layers = 0; layers <= most; layers++) column[layers] = firstNs + layers * each.alphaNs
      return column
    })
  return createShareBound({ plain: columnsFor(false), asHead: columnsFor(true) }, 1)
}

// ── what may take less ──────────────────────────────────────────────────────────────────────────────────────────────

const everySet = ({ figures }: ShareProblem): number[] =>
  Array.from({ length: (1 << figures.length) - 1 }, (_, i) => i + 1)

/** Devices with layers, and what they take at least. */
type Candidate = { set: number; leastNs: number }

/** The most promising first. Every device of a ring hands on at least to its nearest neighbour, in every round. */
function candidates(
  { nLayers, fixed }: ShareProblem,
  tours: Tours,
  rounds: number,
  sets: readonly number[],
  bound: ShareBound,
  belowNs: number,
): Candidate[] {
  const mustRun = (fixed?.layers ?? []).reduce<number>(
    (set, layers = 0, device) => (layers > 0 ? set | (1 << device) : set),
    0,
  )
  const found: Candidate[] = []
  for (const set of sets) {
    // A device alone is visited once.
    if ((rounds > 1 && sizeOf(set) === 1) || sizeOf(set) * rounds > nLayers) continue
    if ((set & mustRun) !== mustRun) continue
    const leastNs = rounds * tours.leastHopNs(set) + bound.ofSet(set)
    if (leastNs < belowNs) found.push({ set, leastNs })
  }
  return found.toSorted((a, b) => a.leastNs - b.leastNs)
}

/** A set, a head that may be one of it, their hops, and what they take at least with these. */
export type Pair = { set: number; head: number; hopNs: number; leastNs: number }

/** The most promising first. */
function pairsOf(
  { figures, member, fixed }: ShareProblem,
  tours: Tours,
  rounds: number,
  bound: ShareBound,
  set: number,
  belowNs: number,
): Pair[] {
  const pairs: Pair[] = []
  for (let head = 0; head < figures.length; head++) {
    if (fixed !== undefined && fixed.head !== -1 && fixed.head !== head) continue
    if (member !== -1 && ((set | (1 << head)) & (1 << member)) === 0) continue
    const withoutHopsNs = bound.ofPair(set, head)
    if (withoutHopsNs >= belowNs) continue
    const hopNs = tours.hopNs(set, head, rounds)
    const leastNs = withoutHopsNs + hopNs
    if (leastNs < belowNs) pairs.push({ set, head, hopNs, leastNs })
  }
  return pairs.toSorted((a, b) => a.leastNs - b.leastNs)
}

// ── what takes least ────────────────────────────────────────────────────────────────────────────────────────────────

/** In so many rounds. */
type Search = {
  /** @returns `belowNs` when nothing takes less */
  leastTpotNs(): number
  /** Those of the least path with reads within the bound. */
  sharesWithin(boundNs: number): Shares[]
  /** Which sets can take less in more rounds than these if nothing is waited for; in even more no others can. */
  setsFor(rounds: number, thanNs: number): number[]
}

/**
 * @param sets that may take less
 * @param belowNs what takes longer is of no interest to it, ever
 */
function createSearch(
  problem: ShareProblem,
  tours: Tours,
  rounds: number,
  sets: readonly number[],
  belowNs: number,
): Search {
  const { nLayers, figures, fixed } = problem
  const [firstSet = 0, ...otherSets] = sets
  const devices = otherSets.reduce((union, set) => union | set, firstSet)
  const layerNs = leastLayerNs(figures)
  const tablesFor = (isHead: boolean) =>
    figures.map((each, device) => {
      const fixedLayers = (devices & (1 << device)) === 0 ? 0 : fixed?.layers[device]
      return createPartTable(each, { nLayers, rounds, isHead, leastLayerNs: layerNs, belowNs, fixedLayers })
    })
  const tables = { plain: tablesFor(false), asHead: tablesFor(true) }
  const shareOut = createShareOut(nLayers, figures.length)
  const tableOf = (device: number, head: number) => (device === head ? tables.asHead : tables.plain)[device]

  const mostReadsNs = [...tables.plain, ...tables.asHead].reduce(
    (most, table) => Math.max(most, table.mostReadsNs),
    0,
  )
  let known: { boundNs: number; bound: ShareBound } | null = null
  let free: { thanNs: number; bound: ShareBound } | null = null
  function boundWithin(anyNs: number): ShareBound {
    const boundNs = Math.min(anyNs, mostReadsNs)
    if (known?.boundNs === boundNs) return known.bound
    const columnsOf = (some: readonly PartTable[]) => some.map((table) => table.pathNs(boundNs))
    const columns = { plain: columnsOf(tables.plain), asHead: columnsOf(tables.asHead) }
    known = { boundNs, bound: createShareBound(columns, rounds) }
    return known.bound
  }

  /** The least path of a pair with reads within the bound. */
  function allocate({ set, head, hopNs }: Pair, boundNs: number) {
    const members = membersOf(set)
    const columns = members.flatMap((device) => tableOf(device, head)?.pathNs(boundNs) ?? [])
    const headNs = members.includes(head) ? 0 : (tables.asHead[head]?.pathNs(boundNs)[0] ?? Infinity)
    const { costNs, layers } = shareOut(columns)
    return { pathNs: headNs + costNs + hopNs, members, layers }
  }

  const readsOf = ({ set, head }: Pair): Float64Array[] =>
    membersOf(set | (1 << head)).flatMap((device) => tableOf(device, head)?.readsNs ?? [])

  return {
    leastTpotNs() {
      let tpotNs = belowNs
      let bound = boundWithin(tpotNs - 1)
      let found = candidates(problem, tours, rounds, sets, bound, tpotNs)
      for (let place = 0; place < found.length; place++) {
        const { set = 0, leastNs = 0 } = found[place] ?? {}
        if (leastNs >= tpotNs) break
        for (const pair of pairsOf(problem, tours, rounds, bound, set, tpotNs)) {
          if (pair.leastNs >= tpotNs) break
          tpotNs = leastTpotNs((boundNs) => allocate(pair, boundNs).pathNs, readsOf(pair), tpotNs)
        }
        const closer = boundWithin(tpotNs - 1)
        if (closer === bound) continue
        bound = closer
        const rest = found.slice(place + 1).map((other) => other.set)
        found = candidates(problem, tours, rounds, rest, bound, tpotNs)
        place = -1
      }
      return tpotNs
    },

    sharesWithin(boundNs) {
      const bound = boundWithin(boundNs)
      let leastNs = Infinity
      let found: Shares[] = []
      for (const candidate of candidates(problem, tours, rounds, sets, bound, Infinity)) {
        if (candidate.leastNs > leastNs) break
        for (const pair of pairsOf(problem, tours, rounds, bound, candidate.set, Infinity)) {
          if (pair.leastNs > leastNs) break
          const { pathNs, members, layers } = allocate(pair, boundNs)
          if (pathNs > leastNs) continue
          if (pathNs < leastNs) [leastNs, found] = [pathNs, []]
          const { set, head } = pair
          const parts = tours.order(set, head, rounds).map((device) => {
            const own = layers[members.indexOf(device)] ?? 0
            return { device, layers: own, gpuLayers: tableOf(device, head)?.gpuLayers(own, boundNs) ?? 0 }
          })
          found.push({ head, rounds, parts })
        }
      }
      return found
    },

    setsFor(moreRounds, thanNs) {
      if (free?.thanNs !== thanNs) {
        const columnsOf = (some: readonly PartTable[]) => some.map((table) => table.freeNs(thanNs - 1))
        const bound = createShareBound(
          { plain: columnsOf(tables.plain), asHead: columnsOf(tables.asHead) },
          moreRounds,
        )
        free = { thanNs, bound }
      }
      return candidates(problem, tours, moreRounds, sets, free.bound, thanNs).map(({ set }) => set)
    },
  }
}
