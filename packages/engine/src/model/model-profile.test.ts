import { describe, expect, it } from 'vitest'
import { createReferenceBackend } from '../backend/reference.ts'
import { readHeader } from '../gguf/header.ts'
import { rowBytes } from '../gguf/quant.ts'
import { shardsOf } from '../gguf/shards.ts'
import { bytesSource } from '../testing/bytes-source.ts'
import { tinyModel } from '../testing/tiny-model.ts'
import type { ModelConfig } from './config.ts'
import { createLayers } from './layers-cpu.ts'
import { modelProfile } from './model-profile.ts'

const config: ModelConfig = {
  name: 'tiny',
  architecture: 'llama',
  nLayers: 2,
  dim: 64,
  nHeads: 4,
  nKvHeads: 2,
  headDim: 16,
  ffnDim: 128,
  vocabSize: 288,
  contextLength: 256,
  rmsEps: 1e-5,
  ropeBase: 10_000,
  ropeScale: 1,
  ropePairs: 'adjacent',
  tiedOutput: true,
}

const packing = { name: 'test', rowGroup: 1, groupBytes: rowBytes, packGroup: () => undefined }

const profileOf = async (tiedOutput: boolean) => {
  const header = await readHeader(bytesSource(tinyModel({ type: 'Q8_0', tiedOutput })))
  return modelProfile({ ...config, tiedOutput }, shardsOf(header, packing))
}

const q8 = (cols: number, rows: number) => (rows * cols * 34) / 32
const embedding = q8(64, 288)
const norm = 64 * 4

describe('what the planner is told of a model', () => {
  it('counts what a device takes besides weights and KV cache, and little more', async () => {
    const wide = { ...config, dim: 1024, nHeads: 16, nKvHeads: 4, headDim: 64, ffnDim: 4096 }
    const header = await readHeader(bytesSource(tinyModel({ type: 'Q8_0' })))
    const { bufferBytes = 0 } = modelProfile(wide, shardsOf(header, packing))
    const backend = await createReferenceBackend()
    const layers = createLayers(backend, wide)
    const takenBytes = backend.memoryBytes() + layers.bufferBytes()
    expect(bufferBytes).toBeGreaterThan(takenBytes)
    expect(bufferBytes).toBeLessThan(takenBytes + 2 ** 21)
    layers.free()
  })

  it('counts the bytes of each layer by weight type, and says how wide heads are', async () => {
    const layer = { Q8_0: q8(64, 64) * 2 + q8(64, 32) * 2 + q8(64, 128) * 2 + q8(128, 64), F32: 2 * norm }
    expect(await profileOf(true)).toMatchObject({ layerBytes: [layer, layer], headDim: config.headDim })
  })

  it('counts a tied embedding as lm_head too, and says that it is one tensor', async () => {
    expect(await profileOf(true)).toMatchObject({
      outputBytes: { Q8_0: embedding, F32: norm },
      embeddingBytes: embedding,
      tiedOutput: true,
    })
  })

  it('counts an lm_head of its own apart from the embedding', async () => {
    expect(await profileOf(false)).toMatchObject({
      outputBytes: { Q8_0: embedding, F32: norm },
      embeddingBytes: embedding,
      tiedOutput: false,
    })
  })

  it('keeps K and V of each KV head in f16', async () => {
    expect((await profileOf(true)).kvBytesPerPosition).toBe((2 + 2) * 16 * 2)
  })
})
