/**
 * In which orders the hidden state may visit devices, as a graph that `ring-search.ts` walks: a node is "this device
 * runs the next window, and these have run theirs".
 *
 * @module
 */

export type OrderGraph = {
  /** Device of each node; every edge leads to a higher node, so counting down meets successors first. */
  devices: number[]
  /** Layers that may have run before it, by what its predecessors and its successors can hold. */
  leastBefore: number[]
  mostBefore: number[]
  next: number[][]
  /** Nodes that a token may enter first. */
  first: number[]
  /** Whether the last layer may be run here: those that ran are one of the sets. */
  mayEnd: boolean[]
}

/** A set of devices, with a bit for each, and what all layers take on it at least, without hops. */
export type PricedSet = { set: number; layersNs: number }

export type OrderProblem = {
  nLayers: number
  sets: readonly PricedSet[]
  /** From whom and to whom the hidden state hops, whether or not it is one of a set. */
  head: number
  /** By device, at most. */
  mostLayers: readonly number[]
  /** ξ, [from][to]; 0 from a device to itself. */
  hopNs: readonly (readonly number[])[]
}

/**
 * The orders that may take `notAboveNs` or less, by their hops and what the layers of their sets take at least: mostly
 * few of the 2^n·n/2 nodes that all orders of n devices make.
 */
export function ordersWithin(problem: OrderProblem, notAboveNs: number): OrderGraph {
  const { head, mostLayers, nLayers } = problem
  const n = mostLayers.length
  const hops = Float64Array.from(problem.hopNs.flat())
  const layersNs = new Float64Array(1 << n).fill(Infinity)
  for (const { set, layersNs: ns } of problem.sets) layersNs[set] = ns
  const onwardNs = waysOn(layersNs, hops, n, head)
  const toHereNs = waysHere(hops, n, head)
  const mayFollow = (previousNs: number, hopNs: number, place: number) =>
    previousNs + hopNs + (onwardNs[place] ?? Infinity) <= notAboveNs

  const places: number[] = []
  const nodeOf = new Int32Array(onwardNs.length)
  for (let place = n; place < onwardNs.length; place++) {
    if (mayFollow(toHereNs[place] ?? Infinity, 0, place)) nodeOf[place] = places.push(place) - 1
  }
  const graph: OrderGraph = { devices: [], leastBefore: [], mostBefore: [], next: [], first: [], mayEnd: [] }
  for (const [node, place] of places.entries()) {
    const device = place % n
    const visited = (place - device) / n
    const hereNs = toHereNs[place] ?? Infinity
    const next: number[] = []
    for (let other = 0; other < n; other++) {
      if ((visited & (1 << other)) !== 0) continue
      const there = (visited | (1 << other)) * n + other
      if (mayFollow(hereNs, hops[device * n + other] ?? 0, there)) next.push(nodeOf[there] ?? 0)
    }
    graph.devices.push(device)
    graph.next.push(next)
    graph.mayEnd.push(hereNs + (hops[device * n + head] ?? 0) + (layersNs[visited] ?? Infinity) <= notAboveNs)
    if (visited === 1 << device) graph.first.push(node)
    let most = 0
    for (let other = 0; other < n; other++) {
      if (other !== device && (visited & (1 << other)) !== 0) most += mostLayers[other] ?? 0
    }
    graph.mostBefore.push(Math.min(most, nLayers - 1))
  }
  graph.leastBefore = leastBefore(graph, problem)
  return graph
}

/** (visited, device): the least that the hops from device on, through the rest of a set and back, and its layers take. */
function waysOn(layersNs: Float64Array, hops: Float64Array, n: number, head: number): Float64Array {
  const onwardNs = new Float64Array(layersNs.length * n).fill(Infinity)
  for (let visited = layersNs.length - 1; visited > 0; visited--) {
    for (let device = 0; device < n; device++) {
      if ((visited & (1 << device)) === 0) continue
      let leastNs = (hops[device * n + head] ?? 0) + (layersNs[visited] ?? Infinity)
      for (let next = 0; next < n; next++) {
        if ((visited & (1 << next)) !== 0) continue
        const ns = (hops[device * n + next] ?? 0) + (onwardNs[(visited | (1 << next)) * n + next] ?? Infinity)
        if (ns < leastNs) leastNs = ns
      }
      onwardNs[visited * n + device] = leastNs
    }
  }
  return onwardNs
}

/** (visited, device): the least that the hops from the head through all that are visited take, device last. */
function waysHere(hops: Float64Array, n: number, head: number): Float64Array {
  const toHereNs = new Float64Array((1 << n) * n).fill(Infinity)
  for (let visited = 1; visited < 1 << n; visited++) {
    for (let device = 0; device < n; device++) {
      const before = visited & ~(1 << device)
      if (before === visited) continue
      let leastNs = before === 0 ? (hops[head * n + device] ?? 0) : Infinity
      for (let previous = 0; previous < n; previous++) {
        const ns = (toHereNs[before * n + previous] ?? Infinity) + (hops[previous * n + device] ?? 0)
        if (ns < leastNs) leastNs = ns
      }
      toHereNs[visited * n + device] = leastNs
    }
  }
  return toHereNs
}

/** All that cannot be run from here on. */
function leastBefore({ devices, next, mayEnd }: OrderGraph, { nLayers, mostLayers }: OrderProblem): number[] {
  const onward = devices.map(() => 0)
  for (let node = devices.length - 1; node >= 0; node--) {
    let most = mayEnd[node] === true ? 0 : -Infinity
    for (const other of next[node] ?? []) most = Math.max(most, onward[other] ?? 0)
    onward[node] = most + (mostLayers[devices[node] ?? 0] ?? 0)
  }
  return onward.map((most) => Math.max(0, nLayers - most))
}

/** From `start` always on to the nearest device not yet visited; of equally near ones to the lower index. */
export function nearestNeighbours(hopNs: readonly (readonly number[])[], start: number): number[] {
  const order = [start]
  const rest = new Set(hopNs.keys())
  rest.delete(start)
  for (let at = start; rest.size > 0;) {
    let nearest = -1
    for (const device of rest) {
      if (nearest === -1 || (hopNs[at]?.[device] ?? 0) < (hopNs[at]?.[nearest] ?? 0)) nearest = device
    }
    order.push(nearest)
    rest.delete(nearest)
    at = nearest
  }
  return order
}
