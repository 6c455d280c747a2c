import { afterAll, expect, test } from 'vitest'
import type { Backend } from '../backend/backend.ts'
import { createReferenceBackend } from '../backend/reference.ts'
import { createWasmBackend } from '../backend/wasm.ts'
import { createNodeHost } from '../node/wasm-host.ts'
import { randomNumbers } from '../testing/random-blocks.ts'
import { logitsIn } from './logits.ts'
import { createSampler, type SamplerOptions } from './sampler.ts'

/** Logits of the probabilities 0.5, 0.3, 0.15 and 0.05, not in that order. */
const logits = Float32Array.from([0.15, 0.5, 0.05, 0.3], Math.log)

const backends = {
  reference: await createReferenceBackend(),
  WASM: await createWasmBackend(createNodeHost(), { threads: 1 }),
}
afterAll(() => Object.values(backends).forEach((backend) => backend.close()))

/** A sampler for logits from anywhere, over a backend. */
function createPicker(backend: Backend, options: SamplerOptions): (values: Float32Array) => number {
  const sample = createSampler(options)
  return (values) => {
    const vector = backend.scratch(values.length)
    vector.values().set(values)
    const token = sample(logitsIn(backend, vector))
    vector.free()
    return token
  }
}

/** How often each token is drawn. */
function frequencies(options: { temperature: number; topP: number }, draws = 20_000): number[] {
  const sample = createPicker(backends.WASM, { ...options, seed: 7 })
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
  const greedy = createPicker(backends.WASM, { temperature: 0, topP: 0.5, seed: 1 })
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
    const sample = createPicker(backends.WASM, { temperature: 1, topP: 1, seed })
    return Array.from({ length: 40 }, () => sample(logits))
  }
  expect(sequence(1)).toEqual(sequence(1))
  expect(sequence(1)).not.toEqual(sequence(2))
})

test('logits far apart do not overflow', () => {
  const sample = createPicker(backends.WASM, { temperature: 0.01, topP: 1, seed: 1 })
  expect(sample(Float32Array.of(-1000, 1000, 999))).toBe(1)
})

test('every backend draws the same tokens of a large vocabulary, by one seed', () => {
  for (const options of [
    { temperature: 0, topP: 1 },
    { temperature: 0.8, topP: 0.95 },
    { temperature: 2, topP: 0.5 },
  ]) {
    const [wanted, drawn] = [backends.reference, backends.WASM].map((backend) => {
      const sample = createPicker(backend, { ...options, seed: 3 })
      return Array.from({ length: 8 }, (_, i) => sample(randomNumbers(i + 1, 20_000, 3)))
    })
    expect(drawn).toEqual(wanted)
  }
})

test('a temperature too small for an f32 is greedy', () => {
  for (const backend of Object.values(backends)) {
    const sample = createPicker(backend, { temperature: 1e-300, topP: 1, seed: 1 })
    expect(sample(Float32Array.of(1, 3, 2))).toBe(1)
  }
})
