import { describe, expect, it } from 'vitest'
import { createTokenizer } from './tokenizer.ts'

describe('SentencePiece', () => {
  const words = [
    '<unk>',
    '<s>',
    '</s>',
    '<0x0A>',
    '<0xC3>',
    '<0xA9>',
    '▁',
    'a',
    'b',
    'ab',
    '▁a',
    '▁ab',
    '▁▁',
    's',
    '<',
    '>',
  ]
  const metadata = {
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': words,
    'tokenizer.ggml.token_type': [2, 3, 3, 6, 6, 6, ...words.slice(6).map(() => 1)],
    'tokenizer.ggml.scores': words.map((_, i) => -i),
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 2,
  }
  const spm = createTokenizer({ metadata })
  const asText = { special: false, addBos: false }
  const texts = (text: string, options: { special: boolean; addBos?: boolean } = asText) =>
    spm.encode(text, options).map(spm.textOf)

  it('puts a space before a text and joins by score', () => {
    // 'ab' has the best score and joins first, then '▁ab'
    expect(texts('ab')).toEqual(['▁ab'])
    expect(texts('a b')).toEqual(['▁a', '▁', 'b'])
  })

  it('puts no space before a text that goes on', () => {
    const ids = spm.encodeParts([{ text: 'ab', special: false }], { continues: true })
    expect(ids.map(spm.textOf)).toEqual(['ab'])
  })

  it('begins with BOS unless told otherwise', () => {
    expect(texts('a', { special: false })).toEqual(['<s>', '▁a'])
  })

  it('writes what has no token as bytes, and what has no byte as unknown', () => {
    expect(texts('é\n')).toEqual(['▁', '<0xC3>', '<0xA9>', '<0x0A>'])
    expect(texts('ü')).toEqual(['▁', '<0xC3>', '<unk>'])
    expect(spm.decode(spm.encode('é\n', asText))).toBe('é\n')
  })

  it("does not read a control token out of a stranger's text", () => {
    expect(texts('<s>')).toEqual(['▁', '<', 's', '>'])
    expect(texts('<s>a', { special: true, addBos: false })).toEqual(['<s>', '▁a'])
  })

  it('drops the space it put before a text when decoding', () => {
    expect(spm.decode(spm.encode(' a b', asText))).toBe(' a b')
    expect(spm.decode(spm.encode('ab', asText))).toBe('ab')
  })
})
