import { readFileSync } from 'node:fs'
import { Tokenizer as TheirTokenizer } from '@huggingface/tokenizers'
import { describe, expect, it } from 'vitest'
import { readHeader } from '../gguf/header.ts'
import { bytesSource } from '../testing/bytes-source.ts'
import { createPrng } from './prng.ts'
import { createTokenizer } from './tokenizer.ts'

const file = readFileSync(new URL('../../../../public/models/demo-q8_0.gguf', import.meta.url))
const { metadata: demo } = await readHeader(bytesSource(file))
const tokenizer = createTokenizer({ metadata: demo })
const asText = { special: false, addBos: false }

describe('byte-pair encoding', () => {
  const theirs = theirTokenizer(demo)

  it('gives the ids of @huggingface/tokenizers for any text', () => {
    const random = createPrng(11)
    const scraps = [
      ' ',
      '  ',
      '\n',
      '\r\n',
      '\t',
      'the',
      'Ring',
      "'ll",
      "'LL",
      '12345',
      '½',
      'é',
      'é',
      '字',
      '🙂',
      '👩‍👧',
    ]
    scraps.push('!?', '…', '\u00a0', '\u3000', 'नमस्ते', 'ſ', 'Ⅷ', '_', '<|', '\u200b', '\0', 'x'.repeat(60))
    for (let round = 0; round < 400; round++) {
      const text = Array.from(
        { length: random() * 20 },
        () => scraps[Math.floor(random() * scraps.length)],
      ).join('')
      expect(tokenizer.encode(text, { special: true }), JSON.stringify(text)).toEqual(
        theirs.encode(text, { add_special_tokens: false }).ids,
      )
      expect(tokenizer.decode(tokenizer.encode(text, { special: false }))).toBe(text)
    }
  })

  it('takes a lone surrogate for the replacement character', () => {
    expect(tokenizer.encode('a\ud800b', asText)).toEqual(tokenizer.encode('a\ufffdb', asText))
  })

  it('writes a merge that is no token as its bytes', () => {
    const metadata = {
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.tokens': ['h', 'e'],
      'tokenizer.ggml.merges': ['h e'],
    }
    expect(createTokenizer({ metadata }).encode('he', asText)).toEqual([0, 1])
  })

  it('reads tokens whole where the vocabulary says so, whatever its merges are', () => {
    const tokens = ['h', 'e', 'y', 'he', 'hey']
    const metadata = {
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'qwen2',
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.merges': ['h e'],
    }
    expect(createTokenizer({ metadata }).encode('hey', asText)).toEqual(
      ['he', 'y'].map((text) => tokens.indexOf(text)),
    )
    const whole = { ...metadata, 'tokenizer.ggml.pre': 'llama-bpe' }
    expect(createTokenizer({ metadata: whole }).encode('hey', asText)).toEqual([tokens.indexOf('hey')])
  })
})

/** The demo model's vocabulary as `@huggingface/tokenizers` wants it: in the shape of a tokenizer.json. */
function theirTokenizer(metadata: Record<string, unknown>): TheirTokenizer {
  const tokens = metadata['tokenizer.ggml.tokens'] as string[]
  const types = metadata['tokenizer.ggml.token_type'] as number[]
  const pattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: false,
    use_regex: false,
  } as const
  return new TheirTokenizer(
    {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: tokens.flatMap((content, id) =>
        types[id] === 3
          ? [
              {
                id,
                content,
                special: true,
                lstrip: false,
                rstrip: false,
                normalized: false,
                single_word: false,
              },
            ]
          : [],
      ),
      normalizer: null,
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
          byteLevel,
        ],
      },
      post_processor: null,
      decoder: byteLevel,
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(tokens.map((text, id) => [text, id])),
        merges: metadata['tokenizer.ggml.merges'] as string[],
      },
    },
    {},
  )
}
