import { describe, expect, it } from 'vitest'
import { bytesInWords, countWords, durationInWords, msDigits, namesInWords, statsInWords } from './words.ts'

const stats = {
  ttftMs: 412,
  tripMs: 30,
  tpotMs: 50,
  promptTokens: 9,
  cachedTokens: 0,
  outputTokens: 21,
  draftedTokens: 0,
  acceptedTokens: 0,
  stop: 'end',
} as const

describe('numbers in words', () => {
  it('say bytes in the unit a person would', () => {
    expect([0, 999, 1000, 7_324_832, 99_960_000, 999_960_000, 4.1e9, 3e15].map(bytesInWords)).toEqual([
      '0 bytes',
      '999 bytes',
      '1.0 kB',
      '7.3 MB',
      '100 MB',
      '1.0 GB',
      '4.1 GB',
      '3000 TB',
    ])
  })

  it('say durations with the precision that matters', () => {
    expect([0, 7.05, 412, 9_949, 9_951, 61_000, 180_000].map(durationInWords)).toEqual([
      '0 ms',
      '7 ms',
      '0.4 s',
      '9.9 s',
      '10 s',
      '61 s',
      '3 min',
    ])
    expect([412.4, 24.13, 0.828].map(msDigits)).toEqual(['412', '24.1', '0.83'])
  })

  it('join names as a sentence does', () => {
    expect(namesInWords(['Alice'])).toBe('Alice')
    expect(namesInWords(['Alice', 'Bob', 'Charlie'])).toBe('Alice, Bob, and Charlie')
  })

  it('count words in scripts without spaces too', () => {
    expect(countWords('Once there was a fox.')).toBe(5)
    expect(countWords('你好，世界')).toBe(2)
    expect(countWords('')).toBe(0)
  })
})

describe('the line under an answer', () => {
  it('tells when it began and how fast it went', () => {
    expect(statsInWords('one two three four five six seven eight nine ten', stats)).toEqual({
      first: 'First word after 0.4 s',
      pace: '10 words/s',
    })
  })

  it('claims no pace for a single token', () => {
    expect(statsInWords('Yes', { ...stats, tpotMs: 0, outputTokens: 1 }).pace).toBeNull()
  })
})
