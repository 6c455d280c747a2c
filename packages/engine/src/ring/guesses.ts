/**
 * Guesses at the words that come next, out of the conversation itself: where its last tokens stood before, what followed them
 * there may follow again. Summaries, quotes and code repeat much; guesses that come true cost no trip of their own.
 *
 * Source: prompt lookup decoding (Saxena, 2023), as a draft for speculative decoding (arXiv 2211.17192) without a second model.
 *
 * @module
 */

const longestMatch = 3
const shortestMatch = 2

/** What a comparison counts for beside the one after it: some ten of them say what to expect. */
const fading = 0.9

export interface Guesses {
  /** At least 0, at most 1: how likely it is that one guess comes true if those before it did. */
  likelihood(): number
  /** @returns what may come next, `most` tokens or fewer; none where nothing like the end stood before */
  next(most: number): number[]
  /** Tokens came. @param guessed what they are compared with: guesses that were run, or that might have been */
  hear(tokens: readonly number[], guessed: readonly number[]): void
}

/** @param tokens of the conversation until now */
export function createGuesses(tokens: readonly number[]): Guesses {
  const heard = [...tokens]
  let hits = 0
  let compared = 0
  return {
    likelihood: () => (hits + 1) / (compared + 2),
    next: (most) => continuation(heard, most),
    hear(tokens, guessed) {
      for (const [i, token] of tokens.entries()) {
        heard.push(token)
        if (guessed[i] === undefined) continue
        hits = fading * hits + (token === guessed[i] ? 1 : 0)
        compared = fading * compared + 1
      }
    },
  }
}

/**
 * What followed where the last three tokens, or else the last two, stood last; beyond the end it repeats itself.
 *
 * @returns `most` tokens, or none
 */
export function continuation(tokens: readonly number[], most: number): number[] {
  const end = tokens.length
  let found = -1
  let matched = shortestMatch - 1
  for (let at = end - 1; at >= shortestMatch && matched < longestMatch; at--) {
    let same = 0
    while (same < longestMatch && same < at && tokens[at - 1 - same] === tokens[end - 1 - same]) same++
    if (same <= matched) continue
    matched = same
    found = at
  }
  if (found < 0) return []
  const period = end - found
  return Array.from({ length: most }, (_, i) => tokens[found + (i % period)]!)
}
