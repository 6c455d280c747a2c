import { describe, expect, test } from 'vitest'
import { createReferenceBackend } from '../backend/reference.ts'
import { readHeader } from '../gguf/header.ts'
import { loadModel, type LoadedModel } from '../node/load-model.ts'
import { bytesSource } from '../testing/bytes-source.ts'
import { nmse } from '../testing/nmse.ts'
import { tinyModel } from '../testing/tiny-model.ts'
import { createLayers } from './layers-cpu.ts'

const tokens = [3, 141, 59, 26, 5, 35, 89, 79, 32, 38]
const nLayers = 3

type Options = {
  maxRows?: number
  maxBytes?: number
  architecture?: 'llama' | 'qwen2'
  /** An F32 tensor to overwrite with twos. */
  alter?: string
}

async function load({ maxRows = 64, maxBytes = Infinity, architecture = 'llama', alter }: Options = {}) {
  const backend = await createReferenceBackend({ maxBytes })
  const bytes = tinyModel({ nLayers, architecture, type: 'F16', ropeFactors: architecture === 'llama' })
  const { tensors } = await readHeader(bytesSource(bytes))
  for (const { offset, byteLength } of tensors.filter(({ name }) => name === alter)) {
    bytes.set(new Uint8Array(new Float32Array(byteLength / 4).fill(2).buffer), offset)
  }
  return { backend, ...(await loadModel(bytesSource(bytes), backend, { maxRows })) }
}

type Step = { session?: number; position: number; of: readonly number[]; layer?: number; count?: number }

/** Embeds and runs; the hidden states, copied. */
async function run(
  { layers, head }: LoadedModel,
  { session = 0, position, of, layer = 0, count = nLayers }: Step,
) {
  const frame = { plan: 1, session, position, layer, rows: of.length, hidden: head.embed(of) }
  return (await layers.run(frame, count)).hidden.slice()
}

const lastRow = (hidden: Float32Array) => hidden.slice(-64)

describe.each(['llama', 'qwen2'] as const)('a prompt of a %s model', (architecture) => {
  test.each([1, 3, 4, 10])('in chunks of %i gives what it gives at once', async (chunkRows) => {
    const whole = lastRow(await run(await load({ architecture }), { position: 0, of: tokens }))
    const model = await load({ architecture })
    let last = new Float32Array(0)
    for (let position = 0; position < tokens.length; position += chunkRows) {
      const of = tokens.slice(position, position + chunkRows)
      last = lastRow(await run(model, { position, of }))
    }
    expect(nmse(last, whole)).toBeLessThanOrEqual(1e-12)
  })
})

describe('tensors that only some models have', () => {
  const cases = [
    ['qwen2', 'blk.1.attn_q.bias'],
    ['qwen2', 'blk.1.attn_k.bias'],
    ['qwen2', 'blk.1.attn_v.bias'],
    ['llama', 'rope_freqs.weight'],
  ] as const
  test.each(cases)('%s: %s counts', async (architecture, name) => {
    const expected = await run(await load({ architecture }), { position: 0, of: tokens })
    const altered = await load({ architecture, alter: name })
    expect(nmse(await run(altered, { position: 0, of: tokens }), expected)).toBeGreaterThan(1e-6)
  })
})

test('more rows than the scratch holds are run in slices', async () => {
  const whole = await run(await load(), { position: 0, of: tokens })
  const sliced = await run(await load({ maxRows: 4 }), { position: 0, of: tokens })
  expect(nmse(sliced, whole)).toBeLessThanOrEqual(1e-12)
})

test('layers run in two windows give what they give in one', async () => {
  const whole = await run(await load(), { position: 0, of: tokens })
  const model = await load()
  const frame = { plan: 1, session: 0, position: 0, layer: 0, rows: 10, hidden: model.head.embed(tokens) }
  const first = await model.layers.run(frame, 1)
  expect(first.layer).toBe(1)
  const second = await model.layers.run(first, 2)
  expect(second).toMatchObject({ plan: 1, session: 0, position: 0, layer: 3, rows: 10 })
  expect(nmse(second.hidden, whole)).toBe(0)
})

test('going back to an earlier position forgets what came after', async () => {
  const model = await load()
  const expected = await run(model, { position: 0, of: [1, 2, 3, 4] })
  await run(model, { position: 4, of: [5, 6, 7] })
  await run(model, { position: 2, of: [250, 251, 252] })
  expect(nmse(await run(model, { position: 2, of: [3, 4] }), expected.slice(2 * 64))).toBeLessThanOrEqual(
    1e-12,
  )
  await expect(run(model, { position: 6, of: [9] })).rejects.toMatchObject({ code: 'kv-lost' })
})

test('sessions do not see each other', async () => {
  const model = await load()
  const alone = await run(model, { session: 1, position: 0, of: [1, 2] })
  await run(model, { session: 2, position: 0, of: [100, 101, 102, 103] })
  const next = await run(model, { session: 1, position: 2, of: [3] })
  const whole = await run(await load(), { position: 0, of: [1, 2, 3] })
  expect(nmse(alone, whole.slice(0, 2 * 64))).toBeLessThanOrEqual(1e-12)
  expect(nmse(next, lastRow(whole))).toBeLessThanOrEqual(1e-12)
})

test('a position that the cache has not reached is a lost cache, said with numbers', async () => {
  const model = await load()
  await run(model, { position: 0, of: [1, 2] })
  await expect(run(model, { position: 5, of: [6] })).rejects.toMatchObject({
    code: 'kv-lost',
    message: expect.stringContaining('remembers 2 of the 5 tokens'),
  })
  model.layers.release(0)
  await expect(run(model, { position: 2, of: [3] })).rejects.toMatchObject({ code: 'kv-lost' })
})

test('releasing a session gives its memory back', async () => {
  const model = await load()
  const before = model.backend.memoryBytes()
  await run(model, { position: 0, of: tokens })
  expect(model.layers.kvBytes()).toBeGreaterThan(0)
  expect(model.backend.memoryBytes()).toBe(before + model.layers.kvBytes())
  model.layers.release(0)
  expect(model.layers.kvBytes()).toBe(0)
  expect(model.backend.memoryBytes()).toBe(before)
})

test('releasing without a name releases every session', async () => {
  const model = await load()
  await run(model, { session: 1, position: 0, of: tokens })
  await run(model, { session: 2, position: 0, of: tokens })
  model.layers.release(1)
  expect(model.layers.kvBytes()).toBeGreaterThan(0)
  await run(model, { session: 1, position: 0, of: tokens })
  model.layers.release()
  expect(model.layers.kvBytes()).toBe(0)
})

test('memory that runs out fails the step and leaves the cache as it was', async () => {
  const roomy = await load()
  await run(roomy, { position: 0, of: [1, 2] })
  const model = await load({ maxBytes: roomy.backend.memoryBytes() })
  await run(model, { position: 0, of: [1, 2] })
  await expect(run(model, { session: 1, position: 0, of: [1] })).rejects.toMatchObject({
    code: 'out-of-memory',
  })
  const next = await run(model, { position: 2, of: [3] })
  expect(nmse(next, await run(roomy, { position: 2, of: [3] }))).toBe(0)
})

test('a device without room for the scratch is as it was', async () => {
  const { config } = await load()
  const backend = await createReferenceBackend({ maxBytes: 70_000 })
  expect(() => createLayers(backend, config)).toThrow(expect.objectContaining({ code: 'out-of-memory' }))
  expect(backend.memoryBytes()).toBe(0)
})

test('a layer that is not here is said to be missing', async () => {
  const model = await load()
  model.layers.unload(1)
  expect(model.layers.loaded()).toEqual([0, 2])
  await expect(run(model, { position: 0, of: [1] })).rejects.toMatchObject({
    code: 'not-ready',
    message: expect.stringContaining('layer 1'),
  })
})

test('all memory comes back when layers and head are freed', async () => {
  const model = await load()
  await run(model, { position: 0, of: tokens })
  model.layers.free()
  model.head.free()
  expect(model.backend.memoryBytes()).toBe(0)
})
