/**
 * Rings of one round whose layers all stay in memory by the bytes of every single layer: sets of devices that may beat
 * the best plan known, the most promising head first, and for each head the best ring of its sets.
 *
 * @module
 */
import { runningSum, windowBytes } from './layer-bytes.ts'
import { pinnedLayers } from './part.ts'
import { ordersWithin } from './ring-order.ts'
import { bestRing, type Ring, type RingProblem } from './ring-search.ts'
import { pinnedPairs, type ShareProblem, type Shares } from './share-search.ts'
import { layerMemoryBytes } from './symbols.ts'
import type { Tours } from './tours.ts'
import type { ModelProfile } from './types.ts'

export type PinnedProblem = {
  model: ModelProfile
  shares: ShareProblem
  /** Of its hops. */
  tours: Tours
}

/** @returns what takes least, for several heads when it takes the same; none when nothing takes less than `belowNs` */
export function pinnedRings(problem: PinnedProblem, belowNs: number): Shares[] {
  const { model, shares, tours } = problem
  const { nLayers, figures, hopNs } = shares
  const rings = toRingProblem(problem)
  // Of the model's layers, as many as the smallest windows of their length fill.
  const { least } = windowBytes(model)
  const [plain, asHead] = [false, true].map((isHead) =>
    figures.map((each) => pinnedLayers(each, isHead, least)),
  )
  const mostLayers = (device: number, isHead: boolean) => (isHead ? asHead : plain)?.[device] ?? -1
  const pairs = pinnedPairs(shares, tours, mostLayers, belowNs).toSorted((a, b) => a.leastNs - b.leastNs)
  const ringOf = (head: number, notAboveNs: number): Ring | null => {
    const own = pairs.filter((pair) => pair.head === head && pair.leastNs <= notAboveNs)
    if (own.length === 0) return null
    const sets = own.map((pair) => ({ set: pair.set, layersNs: pair.leastNs - pair.hopNs }))
    const most = figures.map((_, device) => Math.max(0, mostLayers(device, device === head)))
    return bestRing(rings, ordersWithin({ nLayers, sets, head, mostLayers: most, hopNs }, notAboveNs), head)
  }

  const [promising] = pairs
  if (promising === undefined) return []
  // A ring in one of the most promising orders is soon found, and leaves out most of the others.
  const sample = ringOf(promising.head, promising.leastNs)
  let notAboveNs = Math.min(belowNs - 1, sample?.tpotNs ?? Infinity)
  let found: Shares[] = []
  for (const head of new Set(pairs.map((pair) => pair.head))) {
    const ring = ringOf(head, notAboveNs)
    if (ring === null || ring.tpotNs > notAboveNs) continue
    if (ring.tpotNs < notAboveNs) found = []
    notAboveNs = ring.tpotNs
    found.push({ head, rounds: 1, parts: ring.windows.map((window) => ({ ...window, gpuLayers: 0 })) })
  }
  return found
}

function toRingProblem({ model, shares }: PinnedProblem): RingProblem {
  const { figures, hopNs, nLayers } = shares
  const kvBytes = figures[0]?.kvBytes ?? 0
  const layers = Array.from({ length: nLayers }, (_, layer) => layerMemoryBytes(model, layer, kvBytes))
  return {
    nLayers,
    alphaNs: figures.map((each) => each.alphaNs),
    memorySumBytes: runningSum(layers),
    roomBytes: figures.map((each) => each.roomBytes),
    headRoomBytes: figures.map((each) => each.roomBytes - each.outputBytes),
    kappaNs: figures.map((each) => each.kappaNs),
    hopNs,
  }
}
