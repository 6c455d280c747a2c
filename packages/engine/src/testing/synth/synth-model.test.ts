import { describe, expect, test } from 'vitest'
import { createReferenceBackend } from '../../backend/reference.ts'
import { readHeader, type GgufHeader } from '../../gguf/header.ts'
import { modelConfig } from '../../model/config.ts'
import { logitsOf, runAlone } from '../../model/layers.ts'
import { createTokenizer } from '../../model/tokenizer.ts'
import { loadModel } from '../../node/load-model.ts'
import type { RangeSource } from '../../store/source.ts'
import { modelShapes, recipes, synthModel, type ModelShape, type Recipe, type SynthModel } from './index.ts'

const small: ModelShape = {
  ...modelShapes['hearth-1.1b'],
  nLayers: 8,
  dim: 256,
  nHeads: 4,
  nKvHeads: 2,
  ffnDim: 512,
  vocabSize: 300,
}
const recipeNames = Object.keys(recipes) as Recipe[]

function sourceOf({ sizeBytes, read }: SynthModel): RangeSource {
  return {
    url: 'memory:synthetic.gguf',
    describe: async () => ({ sizeBytes, revision: '1' }),
    async *stream(start, end) {
      const bytes = new Uint8Array(end - start)
      read(start, bytes)
      yield bytes
    },
  }
}

const headerOf = (shape: ModelShape, recipe: Recipe) => readHeader(sourceOf(synthModel(shape, recipe)))

describe('size', () => {
  // bartowski/Llama-3.2-1B-Instruct-GGUF; Q4_0 there has an importance matrix, and 0.3 % of it are Q4_1
  const published = { Q4_0: 773_025_920, Q4_K_M: 807_694_464, Q6_K: 1_021_800_576, Q8_0: 1_321_083_008 }
  test.each(Object.entries(published))(
    'llama-3.2-1b in %s is as large as the published file',
    (recipe, bytes) => {
      const { sizeBytes } = synthModel(modelShapes['llama-3.2-1b'], recipe as Recipe)
      expect(Math.abs(sizeBytes / bytes - 1)).toBeLessThan(0.02)
    },
  )

  // llama.cpp's tools/quantize/README.md, whose Llama 3.1 8B has the shape of Llama 3 8B
  const bits = { Q4_K_M: 4.8944, Q5_K_M: 5.7036, Q6_K: 6.5633, Q8_0: 8.5008, F16: 16.0005 }
  test.each(Object.entries(bits))(
    'llama-3-8b in %s has the published bits per weight',
    (recipe, expected) => {
      const { sizeBytes, weights } = synthModel(modelShapes['llama-3-8b'], recipe as Recipe)
      expect(Math.abs((8 * sizeBytes) / weights / expected - 1)).toBeLessThan(0.02)
    },
  )

  // ollama.com's library: rows of 896 weights, and attn_v of 80 layers
  const megabytes = { 'qwen2.5-0.5b': 398, 'llama-3-70b': 42_520 } as const
  test.each(Object.entries(megabytes))('%s in Q4_K_M is as large as the published file', (name, expected) => {
    const { sizeBytes } = synthModel(modelShapes[name as keyof typeof megabytes], 'Q4_K_M')
    expect(Math.abs(sizeBytes / 1e6 / expected - 1)).toBeLessThan(0.02)
  })

  // parameters as the models' own pages count them, in billions
  const billions = {
    'llama-3.2-1b': 1.24,
    'llama-3.2-3b': 3.21,
    'llama-3-8b': 8.03,
    'llama-3-70b': 70.6,
    'qwen2.5-0.5b': 0.494,
    'qwen2.5-1.5b': 1.54,
    'qwen2.5-7b': 7.62,
    'qwen2.5-14b': 14.8,
    'qwen2.5-32b': 32.8,
    'qwen2.5-72b': 72.7,
    'tinyllama-1.1b': 1.1,
    'hearth-1.1b': 1.1,
  } as const
  test.each(Object.entries(modelShapes))('%s has the published number of weights', (name, shape) => {
    const { weights } = synthModel(shape, 'Q8_0')
    expect(Math.abs(weights / 1e9 / billions[name as keyof typeof billions] - 1)).toBeLessThan(0.01)
  })
})

describe('the header', () => {
  test.each(Object.entries(modelShapes))('of %s is one that Hearth runs, in every type', async (_, shape) => {
    for (const recipe of recipeNames) {
      const { nLayers, dim, ffnDim, tiedOutput } = shape
      expect(modelConfig(await headerOf({ ...shape, vocabSize: 300 }, recipe))).toMatchObject({
        nLayers,
        dim,
        ffnDim,
        tiedOutput,
      })
    }
  })

  test('has a vocabulary that reads text byte by byte', async () => {
    const tokenizer = createTokenizer(await headerOf(small, 'Q8_0'))
    expect(tokenizer.encode('the ax', { special: true, addBos: false })).toHaveLength(3)
  })
})

test('Q4_K_M gives more bits to values and ffn_down in the first and last eighth and every third layer between', async () => {
  const typesOf = ({ tensors }: GgufHeader, role: string) =>
    tensors.filter(({ name }) => name.endsWith(`.${role}.weight`)).map(({ type }) => type)
  const header = await headerOf({ ...small, nLayers: 16 }, 'Q4_K_M')
  const sensitive = [...'6644644644644666'].map((bits) => `Q${bits}_K`)
  expect(typesOf(header, 'ffn_down')).toEqual(sensitive)
  expect(typesOf(header, 'attn_v')).toEqual(sensitive)
  expect(new Set(typesOf(header, 'attn_k'))).toEqual(new Set(['Q4_K']))
})

describe('the bytes', () => {
  const model = synthModel(small, 'Q4_K_M')
  const whole = new Uint8Array(model.sizeBytes)
  model.read(0, whole)

  test('begin with the header', () => {
    expect(whole.subarray(0, model.header.length)).toEqual(model.header)
  })

  test('are the same in any pieces', () => {
    for (const [start, length] of [
      [0, 1],
      [model.header.length - 3, 10],
      [model.header.length + 100_001, 77_777],
      [model.sizeBytes - 9, 9],
      [12_345, model.sizeBytes - 12_345],
    ] as const) {
      const piece = new Uint8Array(length).fill(0xaa)
      model.read(start, piece)
      expect(Buffer.compare(piece, whole.subarray(start, start + length))).toBe(0)
    }
    expect(() => model.read(model.sizeBytes - 1, new Uint8Array(2))).toThrow(RangeError)
  })

  test('are the same for the same seed and others for another', () => {
    const read = (seed: number) => {
      const piece = new Uint8Array(100_000)
      synthModel(small, 'Q4_K_M', { seed }).read(model.header.length + 1000, piece)
      return Buffer.from(piece)
    }
    expect(read(1).equals(read(1))).toBe(true)
    expect(read(1).equals(read(2))).toBe(false)
  })

  test('of two tensors of one shape differ', async () => {
    const { tensors } = await headerOf(small, 'Q4_K_M')
    const [gate, up] = ['ffn_gate', 'ffn_up'].map((role) => {
      const { offset, byteLength } = tensors.find(({ name }) => name === `blk.3.${role}.weight`)!
      return whole.subarray(offset, offset + byteLength)
    })
    expect(Buffer.compare(gate!, up!)).not.toBe(0)
  })
})

test.each(recipeNames)('hidden states stay finite and of a size through 8 layers: %s', async (recipe) => {
  const { config, layers, head } = await loadModel(
    sourceOf(synthModel(small, recipe)),
    await createReferenceBackend(),
  )
  const frame = { plan: 1, session: 0, position: 0, layer: 0, rows: 3, hidden: await head.embed([5, 6, 7]) }
  const { hidden } = await runAlone(layers, frame, config.nLayers)
  const rms = Math.sqrt(hidden.reduce((sum, value) => sum + value * value, 0) / hidden.length)
  expect(rms).toBeGreaterThan(0.1)
  expect(rms).toBeLessThan(10)
  expect(Math.max(...(await logitsOf(head, hidden.subarray(-config.dim))))).toBeGreaterThan(0)
})
