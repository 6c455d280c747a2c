import { expect, test } from 'vitest'
import { createPrng, xoshiro128 } from './prng.ts'

test('xoshiro128** gives the sequence of its authors from the state 1, 2, 3, 4', () => {
  const next = xoshiro128([1, 2, 3, 4])
  expect([next(), next(), next(), next()]).toEqual([11520, 0, 5927040, 70819200])
})

test('one seed gives one sequence, the next seed another', () => {
  const sequence = (seed: number) => {
    const random = createPrng(seed)
    return Array.from({ length: 8 }, random)
  }
  expect(sequence(7)).toEqual(sequence(7))
  expect(sequence(7)).not.toEqual(sequence(8))
})

test('numbers fill [0, 1) evenly', () => {
  const random = createPrng(1)
  const counts = Array<number>(10).fill(0)
  for (let i = 0; i < 10_000; i++) {
    const tenth = Math.floor(random() * 10)
    counts[tenth] = counts[tenth]! + 1
  }
  // 1,000 each, standard deviation 30
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150)
})
