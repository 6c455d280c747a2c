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
  return (logits) => draw(nucleus(probabilities(logits, temperature), topP), random())
}

/** The first of the largest. */
export function argmax(logits: Float32Array): number {
  let best = 0
  for (let token = 1; token < logits.length; token++) {
    if (logits[token]! > logits[best]!) best = token
  }
  return best
}

type Candidate = { token: number; p: number }

/** Top-p (arXiv 1904.09751 §3.1): the fewest most likely tokens whose probabilities reach topP, the likeliest first. */
function nucleus(p: Float32Array, topP: number): Candidate[] {
  // A token below this cannot be among them: all such tokens together have less than 1 − topP. Sorting the rest is cheap.
  const least = (1 - topP) / p.length
  const candidates: Candidate[] = []
  for (let token = 0; token < p.length; token++) {
    if (p[token]! >= least) candidates.push({ token, p: p[token]! })
  }
  candidates.sort((a, b) => b.p - a.p)
  let sum = 0
  const last = candidates.findIndex((candidate) => (sum += candidate.p) >= topP)
  return last < 0 ? candidates : candidates.slice(0, last + 1)
}

/** @param at where to stop, from 0 to 1 of all that the candidates have together */
function draw(candidates: readonly Candidate[], at: number): number {
  let rest = at * candidates.reduce((sum, { p }) => sum + p, 0)
  const chosen = candidates.find(({ p }) => (rest -= p) < 0)
  return (chosen ?? candidates.at(-1)!).token
}
