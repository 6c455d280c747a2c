import { describe, expect, it } from 'vitest'
import { createPrng } from './prng.ts'
import { createPreTokenizer } from './pre-tokenizer.ts'

const families = [
  'llama-bpe',
  'qwen2',
  'tekken',
  'gpt-2',
  'smollm',
  'deepseek-llm',
  'deepseek-coder',
  'default',
]

describe('pre-tokenizers', () => {
  it.each([
    ['llama-bpe', "It'S 12345 (ok)\n\n x", ['It', "'S", ' ', '123', '45', ' (', 'ok', ')\n\n', ' x']],
    ['qwen2', 'a  b 123', ['a', ' ', ' b', ' ', '1', '2', '3']],
    ['tekken', 'HelloWorld, ABC', ['Hello', 'World', ',', ' ABC']],
    ['gpt-2', "It'S  99 .", ['It', "'", 'S', ' ', ' 99', ' .']],
    ['smollm', 'a 12', ['a', ' ', '1', '2']],
    ['deepseek-llm', 'Αβ 12字3\n', ['Αβ', ' ', '12', '字', '3', '\n']],
    ['deepseek-coder', 'a.b 12', ['a', '.', 'b', ' ', '1', '2']],
    ['default', 'a.b 1234', ['a', '.', 'b', ' ', '123', '4']],
  ])('of %s split as its family does', (name, text, pieces) => {
    expect(createPreTokenizer(name).split(text)).toEqual(pieces)
  })

  it.each(families)('of %s lose nothing', (name) => {
    const random = createPrng(3)
    const { split } = createPreTokenizer(name)
    const scraps = ['a', 'B', ' ', '\n', '\r', "'s", '7', '.', '字', 'é', '🙂', '\u0085', '\ufeff', '\ud800']
    for (let round = 0; round < 100; round++) {
      const text = Array.from(
        { length: random() * 30 },
        () => scraps[Math.floor(random() * scraps.length)],
      ).join('')
      expect(split(text).join('')).toBe(text)
    }
  })

  it.each(families)('of %s take no time to speak of for long runs', (name) => {
    const { split } = createPreTokenizer(name)
    for (const text of [`${' '.repeat(100_000)}字`, `${'A'.repeat(100_000)}1`, `${'\n '.repeat(50_000)}x`]) {
      // processor time: others may be at work on this machine
      const before = process.cpuUsage()
      split(text)
      expect(process.cpuUsage(before).user / 1000).toBeLessThan(500)
    }
  })
})
