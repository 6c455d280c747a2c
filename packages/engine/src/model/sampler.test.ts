import { expect, test } from 'vitest'
import { createSampler } from './sampler.ts'

/** Logits of the probabilities 0.5, 0.3, 0.15 and 0.05, not in that order. */
const logits = Float32Array.from([0.15, 0.5, 0.05, 0.3], Math.log)

/** How often each token is drawn. */
function frequencies(options: { temperature: number; topP: number }, draws = 20_000): number[] {
  const sample = createSampler({ ...options, seed: 7 })
  const counts = [0, 0, 0, 0]
  for (let i = 0; i < draws; i++) {
    const token = sample(logits)
    counts[token] = counts[token]! + 1
  }
  return counts.map((count) => count / draws)
}

/** Five standard deviations of a frequency near 0.5 over 20,000 draws. */
const tolerance = 0.018

function expectNear(got: number[], want: number[]): void {
  for (const [token, frequency] of want.entries()) {
    expect(Math.abs(got[token]! - frequency)).toBeLessThanOrEqual(frequency === 0 ? 0 : tolerance)
  }
}

test('temperature 0 takes the most likely token, the first of equals', () => {
  const greedy = createSampler({ temperature: 0, topP: 0.5, seed: 1 })
  expect(greedy(logits)).toBe(1)
  expect(greedy(Float32Array.of(2, 5, 5, 1))).toBe(1)
})

test('temperature 1 draws each token as often as it is probable', () => {
  expectNear(frequencies({ temperature: 1, topP: 1 }), [0.15, 0.5, 0.05, 0.3])
})

test('a low temperature prefers the likely: probabilities squared at one half', () => {
  const squares = [0.0225, 0.25, 0.0025, 0.09]
  const sum = 0.365
  expectNear(
    frequencies({ temperature: 0.5, topP: 1 }),
    squares.map((square) => square / sum),
  )
})

test('top-p keeps the fewest tokens that reach it, in their proportions', () => {
  expectNear(frequencies({ temperature: 1, topP: 0.7 }), [0, 0.5 / 0.8, 0, 0.3 / 0.8])
  expectNear(frequencies({ temperature: 1, topP: 0.81 }), [0.15 / 0.95, 0.5 / 0.95, 0, 0.3 / 0.95])
})

test('top-p 0 is greedy', () => {
  expectNear(frequencies({ temperature: 1, topP: 0 }, 100), [0, 1, 0, 0])
})

test('one seed gives one sequence, another seed another', () => {
  const sequence = (seed: number) => {
    const sample = createSampler({ temperature: 1, topP: 1, seed })
    return Array.from({ length: 40 }, () => sample(logits))
  }
  expect(sequence(1)).toEqual(sequence(1))
  expect(sequence(1)).not.toEqual(sequence(2))
})

test('logits far apart do not overflow', () => {
  const sample = createSampler({ temperature: 0.01, topP: 1, seed: 1 })
  expect(sample(Float32Array.of(-1000, 1000, 999))).toBe(1)
})
