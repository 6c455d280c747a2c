import { expect, test } from 'vitest'
import { createPromptChunk } from './prompt-chunk.ts'

test('a prompt waits for as many rows as compute for as long as the reading takes', () => {
  const chunk = createPromptChunk()
  expect(chunk.rowsToCover(600, 10)).toBe(Infinity)
  // 64 rows through 4 layers in 512 ms: 2 ms a row and layer.
  chunk.noteRun(64, 4, 512)
  expect(chunk.rowsToCover(600, 10)).toBe(30)
  expect(chunk.rowsToCover(10, 10)).toBe(1)
})

test('nothing waits where nothing streams', () => {
  expect(createPromptChunk().rowsToCover(0, 10)).toBe(1)
})

test('a token says nothing about prompts, alone or with guesses behind it', () => {
  const chunk = createPromptChunk()
  chunk.noteRun(1, 4, 100)
  chunk.noteRun(8, 4, 600)
  expect(chunk.rowsToCover(600, 10)).toBe(Infinity)
})
