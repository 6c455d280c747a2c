/**
 * The best ring for one head: which devices run which consecutive layers, in an order that the graph allows.
 *
 * Dynamic programming backwards over (node of the order graph, layer). A device that starts at layer p and hands on at
 * layer q costs α·(q − p); so the best q is a minimum of α·q + onward[q] over the window of layers that fit its memory,
 * and one pass with a monotone queue finds it for all p. A graph with E edges costs E·L steps at most.
 *
 * @module
 */
import type { OrderGraph } from './ring-order.ts'

/** Profiles as numbers; devices by index, layers as running sums of nLayers + 1 entries. */
export type RingProblem = {
  nLayers: number
  /** One layer, per device [α]. */
  alphaNs: readonly number[]
  /** Running sum of b'. */
  memorySumBytes: Float64Array
  /** What layers may fill on a device that is not the head, and on one that is; negative when nothing fits. */
  roomBytes: readonly number[]
  headRoomBytes: readonly number[]
  kappaNs: readonly number[]
  /** ξ, [from][to]. */
  hopNs: readonly (readonly number[])[]
}

export type Ring = {
  tpotNs: number
  /** In running order. */
  windows: { device: number; layers: number }[]
}

/** Time, then devices, then hops, in one number: 128 hops weigh less than a device, 128 devices less than a nanosecond. */
const perHop = 1
const perDevice = 2 ** 7
const perNs = 2 ** 14

/**
 * @param head index of the device that embeds and samples; it need not run layers
 * @returns the ring of the lowest rank, or null when the layers do not fit. Of equal rings, the one that visits lower
 *   device indices first and gives earlier devices more layers
 */
export function bestRing(problem: RingProblem, orders: OrderGraph, head: number): Ring | null {
  const { nLayers, memorySumBytes } = problem
  if (at(problem.headRoomBytes, head) < 0) return null
  const walk = createWalk(problem, orders, head)
  for (let node = orders.devices.length - 1; node >= 0; node--) {
    rankEnds(walk, node)
    rankStarts(walk, node)
  }

  let rank = Infinity
  const windows: Ring['windows'] = []
  let choices = orders.first
  for (let layer = 0, from = head; layer < nLayers;) {
    let chosen = -1
    let best = Infinity
    for (const node of choices) {
      const each = hopRank(problem, from, at(orders.devices, node)) + rankAt(walk, node, layer)
      if (each < best) [best, chosen] = [each, node]
    }
    if (chosen === -1) return null
    if (layer === 0) rank = best
    from = at(orders.devices, chosen)
    rankEnds(walk, chosen)
    const limit = roomBytes(walk, from) + at(memorySumBytes, layer)
    let end = layer + 1
    for (let later = end + 1; later <= nLayers && at(memorySumBytes, later) <= limit; later++) {
      if (at(walk.rankOfEnd, later) <= at(walk.rankOfEnd, end)) end = later
    }
    windows.push({ device: from, layers: end - layer })
    choices = at(orders.next, chosen)
    layer = end
  }
  return { tpotNs: Math.floor(rank / perNs) + at(problem.kappaNs, head), windows }
}

type Walk = {
  problem: RingProblem
  orders: OrderGraph
  head: number
  /** (node, layer): rank of the best way on when the node's device starts at the layer; where the graph allows it. */
  rankFrom: Float64Array
  /** (layer): rank of a node's window and all that follows, when it ends there; α·q + onward[q]. */
  rankOfEnd: Float64Array
  queue: Int32Array
}

const createWalk = (problem: RingProblem, orders: OrderGraph, head: number): Walk => ({
  problem,
  orders,
  head,
  rankFrom: new Float64Array(orders.devices.length * (problem.nLayers + 1)),
  rankOfEnd: new Float64Array(problem.nLayers + 1),
  queue: new Int32Array(problem.nLayers + 1),
})

const hopRank = (problem: RingProblem, from: number, to: number): number =>
  from === to ? 0 : at(at(problem.hopNs, from), to) * perNs + perHop

const roomBytes = ({ problem, head }: Walk, device: number): number =>
  at(device === head ? problem.headRoomBytes : problem.roomBytes, device)

function rankAt({ orders, problem, rankFrom }: Walk, node: number, layer: number): number {
  if (layer < at(orders.leastBefore, node) || layer > at(orders.mostBefore, node)) return Infinity
  return at(rankFrom, node * (problem.nLayers + 1) + layer)
}

/** For all ends of a node's window. */
function rankEnds({ problem, orders, head, rankFrom, rankOfEnd }: Walk, node: number): void {
  const { nLayers } = problem
  const device = at(orders.devices, node)
  rankOfEnd.fill(Infinity)
  if (at(orders.mayEnd, node)) rankOfEnd[nLayers] = hopRank(problem, device, head)
  for (const next of at(orders.next, node)) {
    const hop = hopRank(problem, device, at(orders.devices, next))
    const row = next * (nLayers + 1)
    const last = at(orders.mostBefore, next)
    for (let end = Math.max(1, at(orders.leastBefore, next)); end <= last; end++) {
      const rank = hop + (rankFrom[row + end] ?? 0)
      if (rank < (rankOfEnd[end] ?? 0)) rankOfEnd[end] = rank
    }
  }
  const perLayer = at(problem.alphaNs, device) * perNs
  for (let end = 1; end <= nLayers; end++) rankOfEnd[end] = (rankOfEnd[end] ?? 0) + end * perLayer
}

/** For all layers at which a node's window may start: each takes its best end. */
function rankStarts(walk: Walk, node: number): void {
  const { problem, orders, head, rankFrom, rankOfEnd, queue } = walk
  const { nLayers, memorySumBytes } = problem
  const device = at(orders.devices, node)
  const perLayer = at(problem.alphaNs, device) * perNs
  const room = roomBytes(walk, device)
  const joining = device === head ? 0 : perDevice
  const [least, most] = [at(orders.leastBefore, node), at(orders.mostBefore, node)]
  const row = node * (nLayers + 1)
  let front = 0
  let back = 0
  for (let start = nLayers - 1; start >= least; start--) {
    const entering = rankOfEnd[start + 1] ?? Infinity
    while (back > front && (rankOfEnd[queue[back - 1] ?? 0] ?? 0) > entering) back--
    queue[back++] = start + 1
    if (start > most) continue
    const limit = room + (memorySumBytes[start] ?? 0)
    while (front < back && (memorySumBytes[queue[front] ?? 0] ?? 0) > limit) front++
    rankFrom[row + start] =
      front === back ? Infinity : joining + (rankOfEnd[queue[front] ?? 0] ?? 0) - start * perLayer
  }
}

/** An element that is there by construction. */
function at<T>(list: { readonly [index: number]: T }, index: number): T {
  const element = list[index]
  if (element === undefined) throw new RangeError(`No element ${index}`)
  return element
}
