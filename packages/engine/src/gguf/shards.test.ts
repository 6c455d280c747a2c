import { describe, expect, it } from 'vitest'
import { EngineError } from '../errors.ts'
import { bytesSource } from '../testing/bytes-source.ts'
import { writeGguf } from '../testing/gguf-writer.ts'
import { tinyModel } from '../testing/tiny-model.ts'
import { readHeader } from './header.ts'
import type { Packing } from './packing.ts'
import { rowBytes } from './quant.ts'
import { shardsOf } from './shards.ts'

/** Groups of four rows with a header of two bytes, so that packed and stored sizes differ. */
const packing: Packing = {
  name: 'test',
  rowGroup: 4,
  groupBytes: (type, cols) => 4 * rowBytes(type, cols) + 2,
  packGroup: () => undefined,
}

const shardsOfFile = async (bytes: Uint8Array) => shardsOf(await readHeader(bytesSource(bytes)), packing)

const tensor = (name: string, shape: number[] = [4], typeId = 0) => ({
  name,
  typeId,
  shape,
  bytes: new Uint8Array(4 * shape.reduce((a, b) => a * b, 1)),
})
const headOf = [tensor('token_embd.weight', [4, 4]), tensor('output_norm.weight')]

describe('shards of a model', () => {
  it('are one per layer and the head, and hold every tensor once', async () => {
    const bytes = tinyModel({ nLayers: 3, type: 'Q8_0', tiedOutput: false })
    const { layers, head } = await shardsOfFile(bytes)
    expect(layers.map((shard) => shard.file)).toEqual(['layer-000', 'layer-001', 'layer-002'])
    expect(head.file).toBe('head')
    expect(head.tensors.map((t) => t.name)).toEqual([
      'token_embd.weight',
      'output_norm.weight',
      'output.weight',
    ])
    const { tensors } = await readHeader(bytesSource(bytes))
    const names = [...layers, head].flatMap((shard) => shard.tensors.map((t) => t.name))
    expect(names.toSorted()).toEqual(tensors.map((t) => t.name).toSorted())
    for (const [i, shard] of layers.entries()) {
      for (const t of shard.tensors) expect(t.name).toMatch(new RegExp(`^blk\\.${i}\\.`))
    }
  })

  it('come from where the header says, front to back, in whatever order it lists them', async () => {
    const header = await readHeader(bytesSource(tinyModel({ architecture: 'qwen2' })))
    const tensors = header.tensors.toReversed()
    const { layers, head } = shardsOf({ ...header, tensors }, packing)
    for (const shard of [...layers, head]) {
      const offsets = shard.tensors.map((t) => t.sourceOffset)
      expect(offsets).toEqual(offsets.toSorted((a, b) => a - b))
      for (const t of shard.tensors) {
        const source = tensors.find(({ name }) => name === t.name)!
        expect([t.sourceOffset, t.sourceBytes]).toEqual([source.offset, source.byteLength])
        expect(t.type).toBe(source.type)
      }
    }
  })

  it('place every tensor at a multiple of 64, none over another', async () => {
    const { layers, head } = await shardsOfFile(
      tinyModel({ type: 'Q4_0', architecture: 'qwen2', vocabSize: 301 }),
    )
    for (const shard of [...layers, head]) {
      let end = 0
      for (const t of shard.tensors) {
        expect(t.offset % 64).toBe(0)
        expect(t.offset).toBeGreaterThanOrEqual(end)
        end = t.offset + t.byteLength
      }
      expect(shard.byteLength).toBe(end)
    }
  })

  it('pack matrices in whole groups of rows and leave vectors as they are', async () => {
    const { layers, head } = await shardsOfFile(
      tinyModel({ type: 'Q8_0', architecture: 'qwen2', vocabSize: 301 }),
    )
    const embedding = head.tensors.find((t) => t.name === 'token_embd.weight')!
    expect(embedding).toMatchObject({ kind: 'matrix', type: 'Q8_0', rows: 301, cols: 64 })
    expect(embedding.byteLength).toBe(76 * (4 * 68 + 2))
    const bias = layers[1]!.tensors.find((t) => t.name === 'blk.1.attn_k.bias')!
    expect(bias).toMatchObject({ kind: 'vector', type: 'F32', rows: 1, cols: 32, byteLength: 128 })
  })

  it('give every layer its own copy of the RoPE factors', async () => {
    const { layers, head } = await shardsOfFile(tinyModel({ ropeFactors: true }))
    for (const shard of layers) {
      expect(shard.tensors.filter((t) => t.name === 'rope_freqs.weight')).toHaveLength(1)
    }
    expect(head.tensors.map((t) => t.name)).not.toContain('rope_freqs.weight')
  })
})

describe('a model that Hearth does not run', () => {
  it.each([
    [
      'a weight type',
      [...headOf, tensor('blk.0.attn_q.weight', [32, 4], 7)],
      /blk.0.attn_q.weight.*Q5_1.*F32, F16, .*Q6_K/,
    ],
    ['a vector in F16', [...headOf, tensor('blk.0.attn_norm.weight', [4], 1)], /blk.0.attn_norm.weight.*F16/],
    [
      'experts',
      [...headOf, tensor('blk.0.ffn_up_exps.weight', [4, 4, 2])],
      /blk.0.ffn_up_exps.weight has 3 dimensions/,
    ],
    ['an unknown tensor', [...headOf, tensor('rope_factors_long.weight')], /rope_factors_long.weight/],
    ['a missing layer', [...headOf, tensor('blk.1.attn_norm.weight')], /layer 0 is missing/],
    ['too many layers', [...headOf, tensor('blk.400000000.attn_norm.weight')], /at most 1024 layers/],
    ['a missing norm', headOf.slice(0, 1), /no tensor output_norm.weight/],
  ])('is refused for %s', async (_, tensors, message) => {
    const shards = shardsOfFile(writeGguf({}, tensors))
    await expect(shards).rejects.toThrow(EngineError)
    await expect(shards).rejects.toMatchObject({
      code: 'unsupported-model',
      message: expect.stringMatching(message) as unknown,
    })
  })
})
