/**
 * The best ring for one head: which devices run which consecutive layers, in an order that the graph allows.
 *
 * Dynamic programming backwards over (node of the order graph, layer). A device that starts at layer p and hands on at
 * layer q costs α·(q − p); so the best q is a minimum of α·q + onward[q] over the window of layers that fit its memory,
 * and one pass with a monotone queue finds it for all p. A graph with E edges costs E·L steps.
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

  const stride = nLayers + 1
  /** (node, layer): rank of the best way on when the node's device starts at the layer. */
  const rankFrom = new Float64Array(orders.devices.length * stride).fill(Infinity)
  /** (node, layer): where its window then ends. */
  const windowEnd = new Int32Array(orders.devices.length * stride)
  /** (layer): rank of the node's window and all that follows, when it ends there; α·q + onward[q]. */
  const rankOfEnd = new Float64Array(stride)
  const queue = new Int32Array(stride)

  const hopRank = (from: number, to: number) =>
    from === to ? 0 : at(at(problem.hopNs, from), to) * perNs + perHop

  const fillRankOfEnd = (node: number) => {
    const device = at(orders.devices, node)
    rankOfEnd.fill(Infinity)
    if (at(orders.mayEnd, node)) rankOfEnd[nLayers] = hopRank(device, head)
    for (const next of at(orders.next, node)) {
      const hop = hopRank(device, at(orders.devices, next))
      const row = next * stride
      for (let end = 1; end < nLayers; end++) {
        const rank = hop + (rankFrom[row + end] ?? 0)
        if (rank < (rankOfEnd[end] ?? 0)) rankOfEnd[end] = rank
      }
    }
    const perLayer = at(problem.alphaNs, device) * perNs
    for (let end = 1; end <= nLayers; end++) rankOfEnd[end] = (rankOfEnd[end] ?? 0) + end * perLayer
  }

  for (let node = orders.devices.length - 1; node >= 0; node--) {
    const device = at(orders.devices, node)
    const perLayer = at(problem.alphaNs, device) * perNs
    const room = at(device === head ? problem.headRoomBytes : problem.roomBytes, device)

    fillRankOfEnd(node)
    const joining = device === head ? 0 : perDevice
    let front = 0
    let back = 0
    for (let start = nLayers - 1; start >= 0; start--) {
      const entering = rankOfEnd[start + 1] ?? Infinity
      while (back > front && (rankOfEnd[queue[back - 1] ?? 0] ?? 0) > entering) back--
      queue[back++] = start + 1
      const limit = room + (memorySumBytes[start] ?? 0)
      while (front < back && (memorySumBytes[queue[front] ?? 0] ?? 0) > limit) front++
      if (front === back) continue
      const end = queue[front] ?? 0
      rankFrom[node * stride + start] = joining + (rankOfEnd[end] ?? 0) - start * perLayer
      windowEnd[node * stride + start] = end
    }
  }

  let rank = Infinity
  const windows: Ring['windows'] = []
  let choices = orders.first
  for (let layer = 0, from = head; layer < nLayers;) {
    let chosen = -1
    let best = Infinity
    for (const node of choices) {
      const each = hopRank(from, at(orders.devices, node)) + at(rankFrom, node * stride + layer)
      if (each < best) [best, chosen] = [each, node]
    }
    if (chosen === -1) return null
    if (layer === 0) rank = best
    const end = at(windowEnd, chosen * stride + layer)
    from = at(orders.devices, chosen)
    windows.push({ device: from, layers: end - layer })
    choices = at(orders.next, chosen)
    layer = end
  }
  return { tpotNs: Math.floor(rank / perNs) + at(problem.kappaNs, head), windows }
}

/** An element that is there by construction. */
function at<T>(list: { readonly [index: number]: T }, index: number): T {
  const element = list[index]
  if (element === undefined) throw new RangeError(`No element ${index}`)
  return element
}
