import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { EngineError } from '../errors.ts'
import { type GgufHeader, readHeader } from '../gguf/header.ts'
import { bytesSource } from '../testing/bytes-source.ts'
import { hasSharedFiles, noSharedFiles, sharedJson, sharedPath } from '../testing/shared-files.ts'
import { tinyModel } from '../testing/tiny-model.ts'
import { createTokenizer, type Tokenizer } from './tokenizer.ts'

const headerOf = (path: string | URL) => readHeader(bytesSource(readFileSync(path)))
const demoPath = new URL('../../../../public/models/demo-q8_0.gguf', import.meta.url)

let demo: GgufHeader
let tokenizer: Tokenizer
beforeAll(async () => {
  demo = await headerOf(demoPath)
  tokenizer = createTokenizer(demo)
})

const asText = { special: false, addBos: false }

describe.skipIf(!hasSharedFiles)(`ids of llama.cpp (${hasSharedFiles ? 'golden' : noSharedFiles})`, () => {
  it.each(['llama-Q8_0', 'llama3-Q8_0', 'qwen2-Q8_0', 'qwen3-f16'])('for the texts of %s', async (name) => {
    type Case = { text: string; plain: number[]; special: number[] }
    const cases = sharedJson<{ tokenizer: Case[] }>(`golden/models/${name}.json`).tokenizer
    const golden = createTokenizer(await headerOf(sharedPath(`golden/models/${name}.gguf`)))
    expect(cases.length).toBeGreaterThan(10)
    for (const { text, plain, special } of cases) {
      expect(golden.encode(text, asText)).toEqual(plain)
      expect(golden.encode(text, { special: true, addBos: false })).toEqual(special)
      expect(golden.decode(plain)).toBe(text)
    }
  })

  it.each([
    ['llama-bpe', 'models/llama3-Q8_0.gguf'],
    ['qwen2', 'models/qwen2-Q8_0.gguf'],
    ['llama-spm', 'vocab/ggml-vocab-llama-spm.gguf'],
    ['gpt-2', 'vocab/ggml-vocab-gpt-2.gguf'],
    ['deepseek-llm', 'vocab/ggml-vocab-deepseek-llm.gguf'],
  ])("for llama.cpp's own test texts with %s", async (vocabulary, file) => {
    const golden = createTokenizer(await headerOf(sharedPath(`golden/${file}`)))
    const path = sharedPath(`golden/vocab/ggml-vocab-${vocabulary}.gguf`)
    const texts = readFileSync(`${path}.inp`, 'utf8').split('\n__ggml_vocab_test__\n')
    const lines = readFileSync(`${path}.out`, 'utf8').split('\n')
    expect(texts.length).toBeGreaterThan(40)
    for (const [i, text] of texts.entries()) {
      const ids = lines[i]!.split(' ').filter(Boolean).map(Number)
      expect(golden.encode(text, asText)).toEqual(ids)
      expect(golden.decode(ids)).toBe(text)
    }
  })

  it('takes well under a second for 100 kB, a word of 100 kB and as many spaces included', async () => {
    const prose = readFileSync(sharedPath('research/aesthetics.md'), 'utf8').repeat(2).slice(0, 100_000)
    const files = [
      'models/llama3-Q8_0.gguf',
      ...['llama-spm', 'gpt-2', 'deepseek-llm'].map((v) => `vocab/ggml-vocab-${v}.gguf`),
    ]
    for (const file of files) {
      const golden = createTokenizer(await headerOf(sharedPath(`golden/${file}`)))
      for (const text of [prose, 'ab'.repeat(50_000), `${' '.repeat(99_999)}字`]) {
        // processor time: others may be at work on this machine
        const before = process.cpuUsage()
        golden.encode(text, asText)
        const { user, system } = process.cpuUsage(before)
        expect((user + system) / 1000).toBeLessThan(1000)
      }
    }
  })
})

describe('special tokens', () => {
  const chat = '<|im_start|>user\nhi<|im_end|>'

  it('are parsed only where asked for', () => {
    const parsed = tokenizer.encode(chat, { special: true })
    expect(parsed.map(tokenizer.textOf)).toEqual(['<|im_start|>', 'user', 'Ċ', 'hi', '<|im_end|>'])
    expect(tokenizer.encode(chat, { special: false })).not.toContain(tokenizer.eos)
    expect(tokenizer.decode(tokenizer.encode(chat, { special: false }))).toBe(chat)
  })

  it('write nothing', () => {
    expect(tokenizer.decode(tokenizer.encode(chat, { special: true }))).toBe('user\nhi')
  })

  it('end an answer, and nothing else does', () => {
    const ends = Array.from({ length: tokenizer.vocabSize }, (_, id) => id).filter(tokenizer.isEnd)
    expect(ends.map(tokenizer.textOf)).toEqual(['<|endoftext|>', '<|im_end|>'])
    expect(ends).toContain(tokenizer.eos)
  })

  it('are taken longest first', () => {
    const metadata = {
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.tokens': ['<', '<a>', '<a><b>', '<b>'],
      'tokenizer.ggml.token_type': [1, 3, 3, 3],
      'tokenizer.ggml.merges': [],
    }
    expect(createTokenizer({ metadata }).encode('<a><b><b><a>', { special: true })).toEqual([2, 3, 1])
  })

  it('are special where they end a turn, even in a file that lists them as text', () => {
    const types = (demo.metadata['tokenizer.ggml.token_type'] as number[]).map(() => 1)
    const metadata = { ...demo.metadata, 'tokenizer.ggml.token_type': types }
    const lax = createTokenizer({ metadata })
    expect(lax.encode('hi<|im_end|>', { special: true }).at(-1)).toBe(tokenizer.eos)
    expect(lax.decode([tokenizer.eos!])).toBe('')
  })

  it('begin a text where the model wants it, unless told otherwise', () => {
    const { metadata } = demo
    const eager = createTokenizer({ metadata: { ...metadata, 'tokenizer.ggml.add_bos_token': true } })
    const plain = tokenizer.encode('hi', { special: false })
    expect(eager.encode('hi', { special: false })).toEqual([eager.bos, ...plain])
    expect(eager.encode('hi', { special: false, addBos: false })).toEqual(plain)
    expect(eager.encodeParts([{ text: 'hi', special: false }], { continues: true })).toEqual(plain)
  })
})

describe('the streaming decoder', () => {
  it('never splits a character and loses nothing', () => {
    const text = 'naïve 🙂👩‍👩‍👧 字 नमस्ते'
    const ids = tokenizer.encode(text, asText)
    const decoder = tokenizer.createDecoder()
    const pieces = ids.map(decoder.push)
    expect(pieces.length).toBeGreaterThan([...text].length)
    for (const piece of pieces) expect(piece).not.toContain('\ufffd')
    expect(pieces.join('') + decoder.flush()).toBe(text)
  })

  it('says at the end that a character was left incomplete', () => {
    const ids = tokenizer.encode('é🙂', asText)
    const decoder = tokenizer.createDecoder()
    expect(ids.slice(0, -1).map(decoder.push).join('')).toBe('é')
    expect(decoder.flush()).toBe('\ufffd')
    expect(decoder.flush()).toBe('')
  })
})

describe('a tokenizer that Hearth does not know', () => {
  const metadata = {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'qwen2',
    'tokenizer.ggml.tokens': ['a'],
    'tokenizer.ggml.merges': [],
  }
  it.each([
    ['bert', { 'tokenizer.ggml.model': 'bert' }, /"bert".*"gpt2".*"llama"/],
    ['none', { 'tokenizer.ggml.model': undefined }, /missing/],
    ['a name of objects', { 'tokenizer.ggml.model': 'toString' }, /toString/],
    ['an unknown pre-tokenizer', { 'tokenizer.ggml.pre': 'kimi-k2' }, /"kimi-k2".*llama-bpe.*qwen2/],
    ['no tokens', { 'tokenizer.ggml.tokens': undefined }, /no vocabulary/],
    ['tokens that are numbers', { 'tokenizer.ggml.tokens': [1, 2] }, /not a list of strings/],
    ['no merges', { 'tokenizer.ggml.merges': undefined }, /no merges/],
    ['no scores', { 'tokenizer.ggml.model': 'llama' }, /no scores/],
  ])('is refused by name: %s', (_, change, message) => {
    const create = () => createTokenizer({ metadata: { ...metadata, ...change } })
    expect(create).toThrow(EngineError)
    expect(create).toThrow(message)
  })
})

it('a tiny model can be spoken to', async () => {
  const tiny = createTokenizer(await readHeader(bytesSource(tinyModel())))
  const ids = tiny.encode('the other ring 🙂', asText)
  expect(tiny.decode(ids)).toBe('the other ring 🙂')
  expect(ids.length).toBeLessThan('the other ring 🙂'.length)
})
