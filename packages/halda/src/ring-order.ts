/**
 * In which orders the hidden state may visit devices, as a graph that `ring-search.ts` walks: a node is "this device
 * runs the next window, and these may still follow".
 *
 * @module
 */

export type OrderGraph = {
  /** Device of each node; every edge leads to a higher node, so counting down meets successors first. */
  devices: number[]
  next: number[][]
  /** Nodes that a token may enter first. */
  first: number[]
  /** Whether the last layer may be run here: no required device would be left out. */
  mayEnd: boolean[]
}

/** Every order of every subset of n devices that contains all `required` ones: 2^n·n/2 nodes. */
export function everyOrder(devices: readonly number[], required: readonly number[]): OrderGraph {
  const n = devices.length
  const requiredSet = required.reduce((set, device) => set | (1 << devices.indexOf(device)), 0)
  const nodeOf = new Map<number, number>()
  const visitedSets: number[] = []
  const graph: OrderGraph = { devices: [], next: [], first: [], mayEnd: [] }
  for (let visited = 1; visited < 1 << n; visited++) {
    for (let device = 0; device < n; device++) {
      if ((visited & (1 << device)) === 0) continue
      const node = graph.devices.length
      nodeOf.set(visited * n + device, node)
      visitedSets.push(visited)
      graph.devices.push(device)
      graph.next.push([])
      graph.mayEnd.push((visited & requiredSet) === requiredSet)
      if (visited === 1 << device) graph.first.push(node)
    }
  }
  for (const [node, visited] of visitedSets.entries()) {
    for (let device = 0; device < n; device++) {
      const successor = nodeOf.get((visited | (1 << device)) * n + device)
      if ((visited & (1 << device)) === 0 && successor !== undefined) graph.next[node]?.push(successor)
    }
  }
  return { ...graph, devices: graph.devices.map((index) => devices[index] ?? 0) }
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
