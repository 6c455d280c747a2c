/**
 * The search's one trick: a token takes the larger of its path and of the longest reads. With a bound on reads, the
 * path is a sum that dynamic programming minimises; the lower the bound, the longer that path.
 *
 * @module
 */

/**
 * min over bounds of max(bound, least path within it), by bisection: where the two cross.
 *
 * @param leastPathNs falls as its bound rises
 * @param readsNs all reads that parts can have
 * @returns `belowNs` when nothing takes less
 */
export function leastTpotNs(
  leastPathNs: (boundNs: number) => number,
  readsNs: readonly Float64Array[],
  belowNs: number,
): number {
  const freeNs = leastPathNs(belowNs - 1)
  if (freeNs >= belowNs) return belowNs
  const longer = new Set<number>()
  for (const each of readsNs) {
    for (const ns of each) if (ns > freeNs && ns < belowNs) longer.add(ns)
  }
  if (longer.size === 0) return freeNs
  const firstNs = leastPathNs(freeNs)
  if (firstNs === freeNs) return freeNs
  // Under every bound up to `freeNs` the path decides, and this one leaves it most room.
  const bounds = [freeNs, ...longer].toSorted((a, b) => a - b)
  let low = 1
  let high = bounds.length - 1
  let tpotNs = Math.min(firstNs, bounds[high] ?? Infinity)
  while (low < high) {
    const middle = (low + high) >> 1
    const boundNs = bounds[middle] ?? 0
    const pathNs = leastPathNs(boundNs)
    tpotNs = Math.min(tpotNs, Math.max(boundNs, pathNs))
    if (pathNs > boundNs) low = middle + 1
    else high = middle
  }
  return tpotNs
}
