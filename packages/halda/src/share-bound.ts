/**
 * What a set of devices takes at least, by filling the cheapest layers first: exact where no layer costs a device less
 * than the one before, as columns are bent until that is so (their lower convex hull).
 *
 * @module
 */
import type { Column } from './part-table.ts'

/** By device: what its layers take, and what they take with the output, where it is the head. */
export type Columns = { plain: readonly Column[]; asHead: readonly Column[] }

/** Of devices that each run layers, without hops; Infinity where the layers do not fit. */
export type ShareBound = {
  /** Whoever is head. */
  ofSet(set: number): number
  /** With this head, which may be one of them. */
  ofPair(set: number, head: number): number
}

/** @param leastLayers of each device of a set */
export function createShareBound({ plain, asHead }: Columns, leastLayers: number): ShareBound {
  const hulls = plain.map((column) => hullOf(column, leastLayers))
  const headHulls = asHead.map((column) => hullOf(column, leastLayers))
  const nLayers = (plain[0]?.length ?? 1) - 1
  const fills = new Map<number, Fill>()
  function fillWith(head: number): Fill {
    const known = fills.get(head)
    if (known !== undefined) return known
    const own = hulls.map((hull, device) => (device === head ? headHulls[device] : hull) ?? null)
    const fill = createFill(own, nLayers)
    fills.set(head, fill)
    return fill
  }

  const outputsNs = asHead.map((column) => column.reduce((least, ns) => Math.min(least, ns), Infinity))
  const leastOutputNs = Math.min(...outputsNs)
  const anyHulls = hulls.map((hull, device) => {
    const column = plain[device] ?? new Float64Array()
    const loose = loosened(column, asHead[device] ?? column, outputsNs[device] ?? Infinity)
    return loose === column ? hull : hullOf(loose, leastLayers)
  })
  const fillAny = createFill(anyHulls, nLayers)

  return {
    ofSet: (set) => leastOutputNs + fillAny(set),
    ofPair: (set, head) =>
      fillWith(head)(set) + ((set & (1 << head)) === 0 ? (asHead[head]?.[0] ?? Infinity) : 0),
  }
}

/** The output may hide some of a head's reads, so that its layers take less than another's: the lesser of the two. */
function loosened(plain: Column, asHead: Column, outputNs: number): Column {
  const isLess = (ns: number, layers: number) => ns - outputNs < (plain[layers] ?? 0)
  if (!asHead.some(isLess)) return plain
  return plain.map((ns, layers) => Math.min(ns, (asHead[layers] ?? Infinity) - outputNs))
}

/** A column from its first part on, as straight lines of rising slope, none of which is above it. */
type Hull = { firstLayers: number; firstNs: number; segments: { layers: number; layerNs: number }[] }

/** @returns null where there is no part of at least so many layers */
function hullOf(column: Column, leastLayers: number): Hull | null {
  const slope = (from: number, to: number) => ((column[to] ?? 0) - (column[from] ?? 0)) / (to - from)
  const corners: number[] = []
  const slopes: number[] = []
  for (let layers = leastLayers; layers < column.length; layers++) {
    if (column[layers] === Infinity) continue
    let rising = slope(corners.at(-1) ?? layers, layers)
    while (slopes.length > 0 && rising <= (slopes.at(-1) ?? 0)) {
      slopes.pop()
      corners.pop()
      rising = slope(corners.at(-1) ?? layers, layers)
    }
    if (corners.length > 0) slopes.push(rising)
    corners.push(layers)
  }
  const [first] = corners
  if (first === undefined) return null
  const segments = slopes.map((layerNs, i) => ({
    layers: (corners[i + 1] ?? 0) - (corners[i] ?? 0),
    layerNs,
  }))
  return { firstLayers: first, firstNs: column[first] ?? 0, segments }
}

type Fill = (set: number) => number

/** Shares all layers out over the hulls of a set. */
function createFill(hulls: readonly (Hull | null)[], nLayers: number): Fill {
  const segments = hulls
    .flatMap((hull, device) => (hull?.segments ?? []).map((segment) => ({ bit: 1 << device, ...segment })))
    .toSorted((a, b) => a.layerNs - b.layerNs)
  const bits = Int32Array.from(segments, ({ bit }) => bit)
  const layers = Int32Array.from(segments, (segment) => segment.layers)
  const layerNs = Float64Array.from(segments, (segment) => segment.layerNs)
  const firstLayers = Int32Array.from(hulls, (hull) => hull?.firstLayers ?? nLayers + 1)
  const firstNs = Float64Array.from(hulls, (hull) => hull?.firstNs ?? Infinity)

  return (set) => {
    let ns = 0
    let rest = nLayers
    for (let others = set; others !== 0; others &= others - 1) {
      const device = 31 - Math.clz32(others & -others)
      ns += firstNs[device] ?? 0
      rest -= firstLayers[device] ?? 0
    }
    if (rest < 0) return Infinity
    for (let i = 0; i < bits.length && rest > 0; i++) {
      if (((bits[i] ?? 0) & set) === 0) continue
      const more = Math.min(rest, layers[i] ?? 0)
      rest -= more
      ns += more * (layerNs[i] ?? 0)
    }
    // Costs are whole, their slopes are not: what a rounding adds is taken off again.
    return rest > 0 ? Infinity : Math.floor(ns)
  }
}
