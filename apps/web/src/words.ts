/**
 * Numbers as a person says them. One locale, English, as all sentences of the page are.
 *
 * @module
 */
import type { GenerateStats } from './cluster.ts'

const units = ['bytes', 'kB', 'MB', 'GB', 'TB'] as const

/** Decimal units, as shops and browsers count: 7_324_832 is "7.3 MB". */
export function bytesInWords(bytes: number): string {
  let value = Math.max(0, bytes)
  let unit = 0
  // 999.95 would round to "1000.0": the next unit starts there.
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1
  return `${value.toFixed(digits)} ${units[unit]}`
}

/** "7 ms", "0.4 s", "12 s", "2 min". */
export function durationInWords(ms: number): string {
  if (ms < 95) return `${Math.round(ms)} ms`
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`
  if (ms < 90_000) return `${Math.round(ms / 1000)} s`
  return `${Math.round(ms / 60_000)} min`
}

export const countInWords = (count: number, one: string, many: string): string =>
  `${count} ${count === 1 ? one : many}`

/** Names as a list a person would say: "Alice, Bob and Charlie". */
export const namesInWords = (names: readonly string[]): string =>
  new Intl.ListFormat('en', { type: 'conjunction' }).format(names)

/** Milliseconds with the digits that matter: "412", "24.1", "0.83". */
export const msDigits = (ms: number): string =>
  ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)

/** Words of a text in any script: Chinese has no spaces to count. */
export function countWords(text: string): number {
  let words = 0
  for (const segment of new Intl.Segmenter(undefined, { granularity: 'word' }).segment(text))
    if (segment.isWordLike) words++
  return words
}

/**
 * The line under an answer. Words per second counts the words that were shown over the time from the first token to
 * the last; null when there was nothing to time.
 */
export function statsInWords(text: string, stats: GenerateStats): { first: string; pace: string | null } {
  const first = `First word after ${durationInWords(stats.ttftMs)}`
  const decodeMs = stats.tpotMs * (stats.outputTokens - 1)
  if (decodeMs <= 0) return { first, pace: null }
  const wordsPerSec = countWords(text) / (decodeMs / 1000)
  return { first, pace: `${wordsPerSec >= 9.95 ? wordsPerSec.toFixed(0) : wordsPerSec.toFixed(1)} words/s` }
}
