/**
 * Which token comes next.
 *
 * @module
 */
import { createPrng } from './prng.ts'
import { probabilities } from './softmax.ts'

export type SamplerOptions = {
  /** 0 takes the most likely token, whatever else is set. */
  temperature: number
  /** Draws from the fewest most likely tokens that together reach this probability; 1 is all. */
  topP: number
  /** One seed gives one sequence of draws. */
  seed: number
}

export type Sampler = (logits: Float32Array) => number

/** @returns a function that picks a token for each logits (vocabSize) it is shown */
export function createSampler({ temperature, topP, seed }: SamplerOptions): Sampler {
  if (temperature === 0) return argmax
  const random = createPrng(seed)
  let p = new Float32Array(0)
  return (logits) => {
    if (p.length !== logits.length) p = new Float32Array(logits.length)
    probabilities(logits, temperature, p)
    return topP < 1 ? drawFrom(nucleus(p, topP), p, random()) : drawFromAll(p, random())
  }
}

/** The first of the largest. */
export function argmax(logits: Float32Array): number {
  let best = 0
  for (let token = 1; token < logits.length; token++) {
    if (logits[token]! > logits[best]!) best = token
  }
  return best
}

/** All tokens less probable than this, together, are less than f32 can tell from nothing. */
const negligible = 1e-13

/**
 * Top-p (arXiv 1904.09751 §3.1): the fewest most likely tokens whose probabilities reach topP, the likeliest first.
 *
 * Sorting a whole vocabulary takes longer than a layer. So only tokens above some probability are sorted, one that is
 * lowered until they suffice.
 */
function nucleus(p: Float32Array, topP: number): number[] {
  for (let least = 0.01; ; least /= 10) {
    const candidates: number[] = []
    let sum = 0
    for (let token = 0; token < p.length; token++) {
      if (p[token]! < least) continue
      candidates.push(token)
      sum += p[token]!
    }
    if (sum >= topP && candidates.length > 0)
      return fewest(
        candidates.sort((a, b) => p[b]! - p[a]!),
        p,
        topP,
      )
    // Rounding may keep the sum of all just below topP; what is left by then is less than that.
    if (least < negligible) return candidates
  }
}

function fewest(ranked: number[], p: Float32Array, topP: number): number[] {
  let sum = 0
  const last = ranked.findIndex((token) => (sum += p[token]!) >= topP)
  return last < 0 ? ranked : ranked.slice(0, last + 1)
}

/** @param at where to stop, from 0 to 1 of all that the tokens have together */
function drawFrom(tokens: readonly number[], p: Float32Array, at: number): number {
  let rest = at * tokens.reduce((sum, token) => sum + p[token]!, 0)
  return tokens.find((token) => (rest -= p[token]!) < 0) ?? tokens.at(-1)!
}

function drawFromAll(p: Float32Array, at: number): number {
  let rest = at
  for (let token = 0; token < p.length; token++) {
    rest -= p[token]!
    if (rest < 0) return token
  }
  // Rounding may leave a little of `at`.
  return argmax(p)
}
