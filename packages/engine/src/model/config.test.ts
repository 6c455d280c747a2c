import { describe, expect, test } from 'vitest'
import { readHeader } from '../gguf/header.ts'
import { bytesSource } from '../testing/bytes-source.ts'
import { tinyModel, type TinyModelOptions } from '../testing/tiny-model.ts'
import { inverseFrequencies, modelConfig } from './config.ts'

const headerOf = (options: TinyModelOptions) => readHeader(bytesSource(tinyModel(options)))
const configOf = async (options: TinyModelOptions) => modelConfig(await headerOf(options))

test('a Llama header gives its blueprint', async () => {
  const config = await configOf({ nLayers: 3, dim: 64, nHeads: 4, nKvHeads: 2, tiedOutput: false })
  expect(config).toEqual({
    name: 'tiny llama 1',
    architecture: 'llama',
    nLayers: 3,
    dim: 64,
    nHeads: 4,
    nKvHeads: 2,
    headDim: 16,
    ffnDim: 128,
    vocabSize: 288,
    contextLength: 256,
    rmsEps: expect.closeTo(1e-5, 10),
    ropeBase: 10_000,
    ropeScale: 1,
    ropePairs: 'adjacent',
    tiedOutput: false,
  })
})

test('Qwen2 turns halves, and may tie its output', async () => {
  const config = await configOf({ architecture: 'qwen2' })
  expect(config).toMatchObject({ architecture: 'qwen2', ropePairs: 'halves', tiedOutput: true })
})

describe('what is not supported is refused by name, beside what is', () => {
  const refusals: [string, TinyModelOptions, string][] = [
    [
      'another architecture',
      { metadata: { 'general.architecture': 'gemma3' } },
      'architecture is "gemma3"; Hearth runs llama and qwen2',
    ],
    [
      'experts',
      { metadata: { 'llama.expert_count': 8 } },
      'mixes 8 experts per layer; Hearth runs dense llama and qwen2',
    ],
    [
      'YaRN',
      { metadata: { 'llama.rope.scaling.type': 'yarn' } },
      'scales its positions by "yarn"; Hearth knows none, linear and',
    ],
    [
      'partly rotated heads',
      { metadata: { 'llama.rope.dimension_count': 8 } },
      '4 heads of 16 over 2 KV heads (values 16 wide, 8 lanes rotated)',
    ],
    [
      'groups of heads that do not come out even',
      { metadata: { 'llama.attention.head_count_kv': 3 } },
      '4 heads of 16 over 3 KV heads',
    ],
    [
      'more layers than a plan has',
      { metadata: { 'llama.block_count': 5000 } },
      'llama.block_count is 5000; Hearth needs a number from 1 to 1024',
    ],
    [
      'a count that is no number',
      { metadata: { 'llama.embedding_length': 'wide' } },
      'llama.embedding_length is "wide"; Hearth needs a number from 1 to 65535',
    ],
    [
      'KV heads that differ from layer to layer',
      { metadata: { 'llama.attention.head_count_kv': [2, 1] } },
      'llama.attention.head_count_kv is 2,1; Hearth needs a number',
    ],
    [
      'a width that the tensors do not have',
      { metadata: { 'llama.feed_forward_length': 96 } },
      'tensor blk.0.ffn_gate.weight of shape 64 × 128, which should be 64 × 96',
    ],
    [
      'fewer tensors than layers',
      { nLayers: 2, metadata: { 'llama.block_count': 3 } },
      'has no tensor blk.2.attn_norm.weight',
    ],
    [
      'more tensors than layers',
      { nLayers: 2, metadata: { 'llama.block_count': 1 } },
      'has a tensor "blk.1.attn_norm.weight" that Hearth does not know',
    ],
  ]
  test.each(refusals)('%s', async (_, options, sentence) => {
    const header = await headerOf(options)
    expect(() => modelConfig(header)).toThrow(
      expect.objectContaining({ code: 'unsupported-model', message: expect.stringContaining(sentence) }),
    )
  })

  test('a missing key', async () => {
    const header = await headerOf({})
    const { 'llama.context_length': _, ...metadata } = header.metadata
    expect(() => modelConfig({ ...header, metadata })).toThrow('llama.context_length is missing')
  })

  test('a weight type', async () => {
    const header = await headerOf({})
    const tensors = header.tensors.map((tensor) => ({ ...tensor, type: 'IQ2_XS' }))
    expect(() => modelConfig({ ...header, tensors })).toThrow(
      'as IQ2_XS; Hearth runs F32, F16, Q4_0, Q5_0, Q8_0, Q4_K, Q5_K, Q6_K',
    )
  })
})

describe('inverse frequencies', () => {
  test('fall from one turn per position to the base', async () => {
    const config = await configOf({ dim: 16, nHeads: 4, metadata: { 'llama.rope.freq_base': 100.5 } })
    expect([...inverseFrequencies(config)]).toEqual([1, expect.closeTo(1 / Math.sqrt(100.5), 6)])
  })

  const scalings: [string, Record<string, string | number>, number][] = [
    ['linear', { 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 4 }, 0.25],
    ['a factor without a kind', { 'llama.rope.scaling.factor': 8 }, 0.125],
    ["the key's older name", { 'llama.rope.scale_linear': 2 }, 0.5],
    ['none, whatever the factor', { 'llama.rope.scaling.type': 'none', 'llama.rope.scaling.factor': 4 }, 1],
  ]
  test.each(scalings)('scaling slows all of them: %s', async (_, metadata, first) => {
    expect(inverseFrequencies(await configOf({ metadata }))[0]).toBe(first)
  })

  test("Llama 3.1's factors slow each by its own", async () => {
    const config = await configOf({ dim: 16, nHeads: 4 })
    const [first, second] = inverseFrequencies(config, [2, 8])
    expect([first, second]).toEqual([0.5, expect.closeTo(0.01 / 8, 8)])
  })
})
