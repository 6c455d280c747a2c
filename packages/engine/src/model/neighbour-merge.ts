/**
 * The loop that byte-pair encoding and SentencePiece share: join two neighbours, best pair first, until none join.
 *
 * A heap of pairs over a linked list of pieces: n log n for a text of n characters, however long.
 *
 * @module
 */

/** How soon text[start, middle) and text[middle, end) join: lowest first, Infinity when they never do. */
export type Rank = (start: number, middle: number, end: number) => number

/** Takes a text apart into characters and joins them. Of pairs of equal rank, the leftmost joins first. */
export function mergeNeighbours(text: string, rank: Rank): string[] {
  const size = text.length
  /** Where the piece that begins here ends, and where the one before it begins. */
  const ends = new Int32Array(size)
  const previous = new Int32Array(size).fill(-1)
  /** Times that a piece changed; a pair in the heap is out of date when either side has. */
  const changes = new Int32Array(size)
  const pairs = createHeap()

  const offer = (left: number, right: number) => {
    if (left < 0 || right >= size) return
    const r = rank(left, right, ends[right]!)
    if (r < Infinity) pairs.push({ rank: r, left, right, changes: changes[left]! + changes[right]! })
  }

  let last = -1
  for (let at = 0; at < size; at = ends[at]!) {
    ends[at] = at + (text.codePointAt(at)! > 0xffff ? 2 : 1)
    previous[at] = last
    offer(last, at)
    last = at
  }
  for (let pair = pairs.pop(); pair; pair = pairs.pop()) {
    const { left, right } = pair
    if (changes[left]! + changes[right]! !== pair.changes) continue
    const after = ends[right]!
    ends[left] = after
    if (after < size) previous[after] = left
    changes[left]!++
    changes[right]!++
    offer(previous[left]!, left)
    offer(left, after)
  }

  const pieces: string[] = []
  for (let at = 0; at < size; at = ends[at]!) pieces.push(text.slice(at, ends[at]))
  return pieces
}

type Pair = { rank: number; left: number; right: number; changes: number }

const isBefore = (a: Pair, b: Pair) => a.rank < b.rank || (a.rank === b.rank && a.left < b.left)

/** A binary heap: the first pair by rank, then by place. */
function createHeap() {
  const heap: Pair[] = []
  return {
    push(pair: Pair): void {
      let at = heap.length
      while (at > 0) {
        const parent = (at - 1) >> 1
        if (!isBefore(pair, heap[parent]!)) break
        heap[at] = heap[parent]!
        at = parent
      }
      heap[at] = pair
    },
    pop(): Pair | undefined {
      const first = heap[0]
      const last = heap.pop()
      if (!last || heap.length === 0) return first
      let at = 0
      for (let child = 1; child < heap.length; child = 2 * at + 1) {
        if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
        if (!isBefore(heap[child]!, last)) break
        heap[at] = heap[child]!
        at = child
      }
      heap[at] = last
      return first
    },
  }
}
