/**
 * Which token comes next.
 *
 * @module
 */
import type { Logits } from './logits.ts'
import { createPrng } from './prng.ts'

export type SamplerOptions = {
  /** 0 takes the most likely token, whatever else is set. */
  temperature: number
  /** Draws from the fewest most likely tokens that together reach this probability; 1 is all. */
  topP: number
  /** One seed gives one sequence of draws. */
  seed: number
}

export type Sampler = (logits: Logits) => number

/**
 * @param drawn tokens of the sequence that were picked already; one number is drawn for each
 * @returns a function that picks a token by the logits it is shown, which may become probabilities
 */
export function createSampler({ temperature, topP, seed }: SamplerOptions, drawn = 0): Sampler {
  if (temperature === 0) return (logits) => logits.argmax()
  const random = createPrng(seed)
  for (let i = 0; i < drawn; i++) random()
  return (logits) => {
    logits.softmax(temperature)
    if (topP === 1) return drawFromAll(logits, random())
    return drawFrom(nucleus(logits, topP), logits.values(), random())
  }
}

/** All tokens less probable than this, together, are less than f32 can tell from nothing. */
const negligible = 1e-13

/**
 * Top-p (arXiv 1904.09751 §3.1): the fewest most likely tokens whose probabilities reach topP, the likeliest first.
 *
 * Sorting a whole vocabulary takes longer than a layer. So only tokens above some probability are sorted, one that is
 * lowered until they suffice.
 */
function nucleus(probable: Logits, topP: number): number[] {
  const p = probable.values()
  for (let least = 0.01; ; least /= 10) {
    const candidates: number[] = []
    let sum = 0
    let token = probable.firstAtLeast(least, 0)
    for (; token >= 0; token = probable.firstAtLeast(least, token + 1)) {
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

function drawFromAll(probable: Logits, at: number): number {
  const p = probable.values()
  let rest = at
  for (let token = 0; token < p.length; token++) {
    rest -= p[token]!
    if (rest < 0) return token
  }
  // Rounding may leave a little of `at`.
  return probable.argmax()
}
