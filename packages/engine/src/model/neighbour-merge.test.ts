import { describe, expect, it } from 'vitest'
import { createPrng } from './prng.ts'
import { mergeNeighbours, type Rank } from './neighbour-merge.ts'

/** The definition itself: look at all neighbours, join the best, begin again. */
function mergeSlowly(text: string, rank: Rank): string[] {
  const pieces = [...text]
  for (;;) {
    let best = { rank: Infinity, at: -1 }
    let start = 0
    for (let i = 1; i < pieces.length; i++) {
      const middle = start + pieces[i - 1]!.length
      const r = rank(start, middle, middle + pieces[i]!.length)
      if (r < best.rank) best = { rank: r, at: i }
      start = middle
    }
    if (best.at < 0) return pieces
    pieces.splice(best.at - 1, 2, pieces[best.at - 1]! + pieces[best.at]!)
  }
}

describe('merging neighbours', () => {
  it('does what looking at all of them each time does', () => {
    const random = createPrng(5)
    for (let round = 0; round < 300; round++) {
      const text = Array.from({ length: random() * 40 }, () => 'aab🙂'.slice(random() * 3, 5)).join('')
      // a rank for some strings, equal for many
      const ranks = new Map<string, number>()
      const rank: Rank = (start, middle, end) => {
        const pair = `${text.slice(start, middle)} ${text.slice(middle, end)}`
        if (!ranks.has(pair)) ranks.set(pair, random() < 0.6 ? Math.floor(random() * 6) : Infinity)
        return ranks.get(pair)!
      }
      expect(mergeNeighbours(text, rank)).toEqual(mergeSlowly(text, rank))
    }
  })

  it('joins the leftmost of equal pairs first', () => {
    expect(mergeNeighbours('aaa', (start, _, end) => (end - start === 2 ? 0 : Infinity))).toEqual(['aa', 'a'])
  })

  it('gives nothing for nothing', () => {
    expect(mergeNeighbours('', () => 0)).toEqual([])
  })
})
