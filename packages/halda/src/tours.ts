/**
 * The cheapest trips through sets of up to eight devices: Held and Karp's dynamic programming (1962) over (set, last).
 *
 * @module
 */

/** Sets of devices have a bit for each device index. */
export type Tours = {
  /** The hops of one round are no less, whatever the head. */
  leastHopNs(set: number): number
  /** The hops of the cheapest trips, so many rounds of all of the set, from the head and back to it. */
  hopNs(set: number, head: number, rounds: number): number
  /** Their running order; of equal ones that of fewer hops. */
  order(set: number, head: number, rounds: number): number[]
}

/** @param hopNs [from][to]; 0 from a device to itself */
export function createTours(hopNs: readonly (readonly number[])[]): Tours {
  const n = hopNs.length
  const flat = Float64Array.from(hopNs.flat())
  const hop = (from: number, to: number): number => flat[from * n + to] ?? 0
  const nearestNs = nearestHops(hopNs)
  /** (set, first, last): the cheapest path through the set, and who comes before last on it. */
  const pathNs = new Float64Array(2 ** n * n * n).fill(Infinity)
  const before = new Int8Array(pathNs.length)
  const at = (set: number, first: number, last: number) => (set * n + first) * n + last
  for (let device = 0; device < n; device++) pathNs[at(1 << device, device, device)] = 0
  for (let set = 1; set < 1 << n; set++) {
    for (let first = 0; first < n; first++) {
      if ((set & (1 << first)) !== 0) extendPaths(set, first)
    }
  }

  /** By one more device. */
  function extendPaths(set: number, first: number): void {
    for (let last = 0; last < n; last++) {
      const soFar = pathNs[at(set, first, last)] ?? Infinity
      if (soFar === Infinity) continue
      for (let next = 0; next < n; next++) {
        if ((set & (1 << next)) !== 0) continue
        const place = at(set | (1 << next), first, next)
        const ns = soFar + hop(last, next)
        if (ns >= (pathNs[place] ?? Infinity)) continue
        pathNs[place] = ns
        before[place] = last
      }
    }
  }

  /** Of the cheapest: `rounds` times the path, back to its start in between, and the head at both ends. */
  function ends(set: number, head: number, rounds: number): { ns: number; first: number; last: number } {
    let found = { ns: Infinity, headHops: 0, first: 0, last: 0 }
    for (let first = 0; first < n; first++) {
      if ((set & (1 << first)) === 0) continue
      for (let last = 0; last < n; last++) {
        const path = pathNs[at(set, first, last)] ?? Infinity
        if (path === Infinity) continue
        const ns = hop(head, first) + rounds * path + (rounds - 1) * hop(last, first) + hop(last, head)
        if (ns > found.ns) continue
        const headHops = Number(head !== first) + Number(head !== last)
        if (ns < found.ns || headHops < found.headHops) found = { ns, headHops, first, last }
      }
    }
    return found
  }

  return {
    leastHopNs: (set) =>
      sizeOf(set) === 1 ? 0 : membersOf(set).reduce((sum, device) => sum + (nearestNs[device] ?? 0), 0),
    hopNs: (set, head, rounds) => ends(set, head, rounds).ns,
    order(set, head, rounds) {
      const { first, last } = ends(set, head, rounds)
      const order: number[] = []
      for (let rest = set, device = last; rest !== 0;) {
        order.unshift(device)
        const previous = before[at(rest, first, device)] ?? first
        rest &= ~(1 << device)
        device = previous
      }
      return order
    },
  }
}

/** From each device to the one that is nearest; Infinity where there is no other. */
export const nearestHops = (hopNs: readonly (readonly number[])[]): number[] =>
  hopNs.map((row, from) =>
    row.reduce((least, ns, to) => (to === from ? least : Math.min(least, ns)), Infinity),
  )

/** By rising index. */
export function membersOf(set: number): number[] {
  const members: number[] = []
  for (let rest = set; rest !== 0; rest &= rest - 1) members.push(31 - Math.clz32(rest & -rest))
  return members
}

/** How many devices a set has. */
export function sizeOf(set: number): number {
  let size = 0
  for (let rest = set; rest !== 0; rest &= rest - 1) size++
  return size
}
