/**
 * Good numbers of layers for more than eight devices: as `share-search.ts`, but every device of the ring is taken to
 * hop as far as to its nearest neighbour. A rule and no proof.
 *
 * @module
 */
import { leastTpotNs } from './least-bound.ts'
import { createPartTable, leastLayerNs, type Column } from './part-table.ts'
import { pinnedLayers } from './part.ts'
import { addDevice, emptyAllocation, type Allocation } from './min-plus.ts'
import { nearestNeighbours } from './ring-order.ts'
import type { ShareProblem, Shares } from './share-search.ts'
import { nearestHops } from './tours.ts'

/** Rounds are tried until so many brought nothing. */
const patience = 2

/**
 * @param belowNs only shares that take less are of interest
 * @returns shares in the order of nearest neighbours from the head on; null when nothing takes less
 */
export function estimateShares(problem: ShareProblem, belowNs: number): Shares | null {
  const nearestNs = nearestHops(problem.hopNs)
  let tpotNs = Math.min(belowNs, pinnedNs(problem, nearestNs) + 1)
  let best: ReturnType<typeof createEstimate> | null = null
  for (let rounds = 1, vain = 0; rounds <= problem.nLayers && vain < patience; rounds++) {
    vain++
    const search = createEstimate(problem, nearestNs, rounds, tpotNs)
    const leastNs = leastTpotNs(search.leastPathNs, search.readsNs, tpotNs)
    if (leastNs < tpotNs) [best, tpotNs, vain] = [search, leastNs, 0]
  }
  return best === null ? null : best.sharesOf(tpotNs)
}

/** Of a choice in which the device also becomes head. */
const asHeadMark = 2 ** 15

/** One round of the fastest devices that hold all layers together; Infinity where they cannot. */
function pinnedNs({ nLayers, figures }: ShareProblem, nearestNs: readonly number[]): number {
  const fastest = [...figures.entries()].toSorted(([, a], [, b]) => a.alphaNs - b.alphaNs)
  const most = figures.map((each) => pinnedLayers(each, false))
  const mostAsHead = figures.map((each) => pinnedLayers(each, true))
  let leastNs = Infinity
  for (const [head, { kappaNs }] of figures.entries()) {
    let ns = kappaNs
    let rest = nLayers
    for (const [device, { alphaNs }] of fastest) {
      const layers = Math.min(rest, (device === head ? mostAsHead : most)[device] ?? 0)
      if (layers <= 0 && device !== head) continue
      ns += layers * alphaNs + (nearestNs[device] ?? 0)
      rest -= layers
    }
    if (rest === 0 && mostAsHead[head]! >= 0) leastNs = Math.min(leastNs, ns)
  }
  return leastNs
}

/** @param belowNs what takes longer is of no interest to it, ever */
function createEstimate(
  { nLayers, figures, hopNs }: ShareProblem,
  nearestNs: readonly number[],
  rounds: number,
  belowNs: number,
) {
  const layerNs = leastLayerNs(figures)
  const tablesFor = (isHead: boolean) =>
    figures.map((each) => createPartTable(each, { nLayers, rounds, isHead, leastLayerNs: layerNs, belowNs }))
  const tables = tablesFor(false)
  const headTables = tablesFor(true)
  const rowsOf = () => Array.from({ length: figures.length + 1 }, () => emptyAllocation(nLayers))
  /** By devices so far: what they take that share out so many layers, without and with a head among them. */
  const [headless, headed] = [rowsOf(), rowsOf()]
  headed[0]?.costNs.fill(Infinity)

  function allocate(boundNs: number): void {
    for (let device = 0; device < figures.length; device++) {
      const plain = tables[device]!.pathNs(boundNs)
      const asHead = headTables[device]!.pathNs(boundNs)
      // A part hops as often as there are rounds.
      const moreNs = rounds * (nearestNs[device] ?? 0)
      const before = headless[device]?.costNs ?? plain
      const nextHeadless = leaveOut(headless[device], headless[device + 1])
      const nextHeaded = leaveOut(headed[device], headed[device + 1])
      addDevice(before, plain, nextHeadless, { moreNs })
      addDevice(headed[device]?.costNs ?? plain, plain, nextHeaded, { moreNs })
      addDevice(before, asHead, nextHeaded, { mark: asHeadMark, moreNs })
      addHead(before, (asHead[0] ?? Infinity) + moreNs, nextHeaded)
    }
  }

  return {
    leastPathNs(boundNs: number): number {
      allocate(boundNs)
      return headed.at(-1)?.costNs[nLayers] ?? Infinity
    },
    readsNs: [...tables, ...headTables].map((table) => table.readsNs),
    sharesOf(boundNs: number): Shares {
      allocate(boundNs)
      const layers = new Map<number, number>()
      let head = -1
      let rest = nLayers
      for (let device = figures.length - 1; device >= 0; device--) {
        const choice = (head === -1 ? headed : headless)[device + 1]?.choice[rest] ?? 0
        if (choice >= asHeadMark) head = device
        const share = choice % asHeadMark
        if (share > 0) layers.set(device, share)
        rest -= share
      }
      const order = nearestNeighbours(hopNs, head).filter((device) => layers.has(device))
      const parts = order.map((device) => {
        const own = layers.get(device) ?? 0
        const table = device === head ? headTables[device] : tables[device]
        return { device, layers: own, gpuLayers: table?.gpuLayers(own, boundNs) ?? 0 }
      })
      return { head, rounds, parts }
    },
  }
}

/** The same without the next device. */
function leaveOut(before: Allocation | undefined, next: Allocation | undefined): Allocation {
  if (before === undefined || next === undefined) throw new RangeError('There is a row for every device')
  next.costNs.set(before.costNs)
  next.choice.fill(0)
  return next
}

/** As a head without layers. */
function addHead(before: Column, ns: number, { costNs, choice }: Allocation): void {
  for (let layers = 0; layers < before.length; layers++) {
    const withHead = (before[layers] ?? Infinity) + ns
    if (withHead >= (costNs[layers] ?? 0)) continue
    costNs[layers] = withHead
    choice[layers] = asHeadMark
  }
}
