/**
 * The cheapest trips through sets of up to eight devices: Held and Karp's dynamic programming (1962) over (set, last).
 *
 * @module
 */

/** Sets of devices have a bit for each device index. */
export type Tours = {
  /** By set · devices + head: the hops of so many trips through all of the set, from the head and back to it. */
  hopsNs(rounds: number): Float64Array
  /** Running order of the cheapest trips; of equal ones that of fewer hops. */
  order(set: number, head: number, rounds: number): number[]
}

/** @param hopNs [from][to]; 0 from a device to itself */
export function createTours(hopNs: readonly (readonly number[])[]): Tours {
  const n = hopNs.length
  const flat = Float64Array.from(hopNs.flat())
  const hop = (from: number, to: number): number => flat[from * n + to] ?? 0
  /** (first, set, last): the cheapest path through the set, and who comes before last on it. */
  const pathNs = new Float64Array(n * 2 ** n * n).fill(Infinity)
  const before = new Int8Array(pathNs.length)
  const at = (first: number, set: number, last: number) => (first * 2 ** n + set) * n + last
  for (let first = 0; first < n; first++) {
    pathNs[at(first, 1 << first, first)] = 0
    for (let set = 1; set < 1 << n; set++) {
      for (let last = 0; last < n; last++) {
        const soFar = pathNs[at(first, set, last)] ?? Infinity
        if (soFar === Infinity) continue
        for (let next = 0; next < n; next++) {
          if ((set & (1 << next)) !== 0) continue
          const place = at(first, set | (1 << next), next)
          const ns = soFar + hop(last, next)
          if (ns >= (pathNs[place] ?? Infinity)) continue
          pathNs[place] = ns
          before[place] = last
        }
      }
    }
  }

  /** `rounds` times the path, back to its start in between, and the head at both ends. */
  function best(set: number, head: number, rounds: number): { ns: number; first: number; last: number } {
    let found = { ns: Infinity, headHops: 0, first: 0, last: 0 }
    for (let first = 0; first < n; first++) {
      for (let last = 0; last < n; last++) {
        const path = pathNs[at(first, set, last)] ?? Infinity
        if (path === Infinity) continue
        const ns = hop(head, first) + rounds * path + (rounds - 1) * hop(last, first) + hop(last, head)
        const headHops = Number(head !== first) + Number(head !== last)
        if (ns < found.ns || (ns === found.ns && headHops < found.headHops)) {
          found = { ns, headHops, first, last }
        }
      }
    }
    return found
  }

  return {
    hopsNs(rounds) {
      const least = new Float64Array(2 ** n * n).fill(Infinity)
      for (let first = 0; first < n; first++) {
        for (let set = 1; set < 1 << n; set++) {
          for (let last = 0; last < n; last++) {
            const path = pathNs[at(first, set, last)] ?? Infinity
            if (path === Infinity) continue
            const roundsNs = rounds * path + (rounds - 1) * hop(last, first)
            for (let head = 0; head < n; head++) {
              const ns = hop(head, first) + roundsNs + hop(last, head)
              if (ns < (least[set * n + head] ?? 0)) least[set * n + head] = ns
            }
          }
        }
      }
      return least
    },
    order(set, head, rounds) {
      const { first, last } = best(set, head, rounds)
      const order: number[] = []
      for (let rest = set, device = last; rest !== 0;) {
        order.unshift(device)
        const previous = before[at(first, rest, device)] ?? first
        rest &= ~(1 << device)
        device = previous
      }
      return order
    },
  }
}

/** How many devices a set has. */
export function sizeOf(set: number): number {
  let size = 0
  for (let rest = set; rest !== 0; rest &= rest - 1) size++
  return size
}
