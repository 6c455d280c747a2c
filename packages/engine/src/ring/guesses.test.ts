import { expect, test } from 'vitest'
import { continuation, createGuesses } from './guesses.ts'

test('what followed the last tokens where they stood before is guessed', () => {
  expect(continuation([1, 2, 3, 4, 5, 6, 7, 1, 2, 3], 3)).toEqual([4, 5, 6])
})

test('three tokens that stood before say more than two, and the last place more than those before it', () => {
  expect(continuation([9, 1, 2, 40, 41, 8, 1, 2, 50, 51, 9, 1, 2], 2)).toEqual([40, 41])
  expect(continuation([1, 2, 40, 41, 8, 1, 2, 50, 51, 9, 1, 2], 2)).toEqual([50, 51])
})

test('one token that stood before says nothing', () => {
  expect(continuation([1, 2, 3, 4, 3], 3)).toEqual([])
  for (const short of [[], [1], [1, 1], [1, 2]]) expect(continuation(short, 3)).toEqual([])
})

test('a loop goes on', () => {
  expect(continuation([5, 1, 2, 1, 2], 5)).toEqual([1, 2, 1, 2, 1])
  expect(continuation([7, 7, 7], 4)).toEqual([7, 7, 7, 7])
})

test('guesses that come true make the next ones likely, and those that do not unlikely', () => {
  const guesses = createGuesses([1, 2, 3])
  expect(guesses.likelihood()).toBe(0.5)
  guesses.hear([4, 5, 6], [4, 5])
  // Two of two; the last one was compared with nothing.
  expect(guesses.likelihood()).toBeCloseTo((0.9 + 1 + 1) / (0.9 + 1 + 2), 12)
  for (let i = 0; i < 100; i++) guesses.hear([1], [1])
  const high = guesses.likelihood()
  expect(high).toBeGreaterThan(0.9)
  expect(high).toBeLessThan(1)
  for (let i = 0; i < 100; i++) guesses.hear([1], [2])
  expect(guesses.likelihood()).toBeLessThan(0.1)
  expect(guesses.likelihood()).toBeGreaterThan(0)
})

test('what was heard is looked up as the conversation is', () => {
  const guesses = createGuesses([1, 2, 3])
  expect(guesses.next(2)).toEqual([])
  guesses.hear([1], [])
  guesses.hear([2], [])
  expect(guesses.next(2)).toEqual([3, 1])
})
