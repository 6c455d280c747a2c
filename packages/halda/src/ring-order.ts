/**
 * In which orders the hidden state may visit devices, as a graph that `ring-search.ts` walks: a node is "this device
 * runs the next window, and these have run theirs".
 *
 * @module
 */

export type OrderGraph = {
  /** Device of each node; every edge leads to a higher node, so counting down meets successors first. */
  devices: number[]
  next: number[][]
  /** Nodes that a token may enter first. */
  first: number[]
  /** Whether the last layer may be run here: those that ran are one of the sets. */
  mayEnd: boolean[]
}

/** Every order of every one of the sets, which have a bit for each device: 2^n·n/2 nodes for n devices at most. */
export function everyOrder(sets: readonly number[]): OrderGraph {
  const wanted = new Set(sets)
  const all = sets.reduce((union, set) => union | set, 0)
  const n = 32 - Math.clz32(all)
  const isOnTheWay = new Uint8Array(1 << n)
  for (const set of wanted) {
    for (let part = set; part !== 0; part = (part - 1) & set) isOnTheWay[part] = 1
  }
  const nodeOf = new Int32Array((1 << n) * n).fill(-1)
  const graph: OrderGraph = { devices: [], next: [], first: [], mayEnd: [] }
  for (let visited = 1; visited < 1 << n; visited++) {
    if (isOnTheWay[visited] === 0) continue
    for (let device = 0; device < n; device++) {
      if ((visited & (1 << device)) === 0) continue
      const node = graph.devices.length
      nodeOf[visited * n + device] = node
      graph.devices.push(device)
      graph.next.push([])
      graph.mayEnd.push(wanted.has(visited))
      const before = visited & ~(1 << device)
      if (before === 0) graph.first.push(node)
      for (let previous = 0; previous < n; previous++) {
        const from = nodeOf[before * n + previous] ?? -1
        if (from !== -1) graph.next[from]?.push(node)
      }
    }
  }
  return graph
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
