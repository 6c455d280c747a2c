import { describe, expect, test } from 'vitest'
import type { Backend } from '../backend/backend.ts'
import { createReferenceBackend } from '../backend/reference.ts'
import { createWasmBackend } from '../backend/wasm.ts'
import { readHeader } from '../gguf/header.ts'
import { loadModel, type LoadedModel } from '../node/load-model.ts'
import { createNodeHost } from '../node/wasm-host.ts'
import { bytesSource } from '../testing/bytes-source.ts'
import { nmse } from '../testing/nmse.ts'
import { randomNumbers } from '../testing/random-blocks.ts'
import type { Activation } from '../protocol.ts'
import { referenceLayers } from '../testing/reference-layers.ts'
import { tinyModel } from '../testing/tiny-model.ts'
import { createLayers } from './layers-cpu.ts'
import { runAlone } from './layers.ts'
import { layersBehaviour, layersContract } from './layers.contract.ts'

describe('layers over the reference', () => {
  for (const { title, run } of layersBehaviour) test(title, () => run(referenceLayers))
})

describe('layers over WASM', () => {
  for (const { title, run } of layersContract)
    test(title, () =>
      run(async (gguf) => {
        const backend = await createWasmBackend(createNodeHost(), { threads: 1 })
        const { layers } = await loadModel(bytesSource(gguf), backend)
        return { layers, close: () => backend.close() }
      }),
    )
})

describe.each(['Q8_0', 'Q4_0', 'Q4_K', 'Q6_K', 'F16'] as const)(
  'a token and guesses behind it, %s',
  (type) => {
    test('have the bits that they have one by one, wherever a page of the KV cache ends', async () => {
      const [width, before, most] = [256, 59, 8]
      const backend = await createWasmBackend(createNodeHost(), { threads: 1 })
      const { layers } = await loadModel(bytesSource(tinyModel({ nLayers, type, dim: width })), backend)
      const hidden = randomNumbers(1, (before + most) * width)
      const rowsOf = async (session: number, from: number, to: number) => {
        const rows = hidden.subarray(from * width, to * width)
        const frame = { plan: 1, session, position: from, layer: 0, rows: to - from, hidden: rows }
        return (await runAlone(layers, { ...frame, every: true }, nLayers)).hidden.slice()
      }
      await rowsOf(1, 0, before)
      await rowsOf(2, 0, before)
      const alone: number[] = []
      for (let at = before; at < before + most; at++) alone.push(...(await rowsOf(1, at, at + 1)))
      for (let rows = 2; rows <= most; rows++)
        expect([...(await rowsOf(2, before, before + rows))]).toEqual(alone.slice(0, rows * width))
      backend.close()
    })
  },
)

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

/** Embeds and runs all layers; the hidden states, copied. */
async function run(
  { layers, head }: LoadedModel,
  { session = 0, position, of }: { session?: number; position: number; of: readonly number[] },
): Promise<Float32Array> {
  const frame = { plan: 1, session, position, layer: 0, rows: of.length, hidden: await head.embed(of) }
  return (await runAlone(layers, frame, nLayers)).hidden.slice()
}

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

test('a lost cache is said with numbers', async () => {
  const model = await load()
  await run(model, { position: 0, of: [1, 2] })
  await expect(run(model, { position: 5, of: [6] })).rejects.toThrow('remembers 2 of the 5 tokens')
})

test("a session's memory is the backend's", async () => {
  const model = await load()
  const before = model.backend.memoryBytes()
  await run(model, { position: 0, of: tokens })
  expect(model.backend.memoryBytes()).toBe(before + model.layers.kvBytes())
  model.layers.release(0)
  expect(model.backend.memoryBytes()).toBe(before)
})

test('weights that stream are read once for all sessions that run together', async () => {
  const expected = await run(await load(), { position: 0, of: tokens })
  const model = await load()
  const reads: number[] = []
  for (const [layer, { shard, region }] of model.held.slice(0, nLayers).entries()) {
    const acquire = async () => {
      reads.push(layer)
      const slot = model.backend.region(region.byteLength)
      slot.bytes().set(bytes)
      return slot
    }
    const bytes = region.bytes().slice()
    model.layers.stream(layer, shard, { acquire, release: () => {} })
  }
  const hidden = await model.head.embed(tokens)
  const group = [1, 2, 3, 4].map((session) => {
    return { plan: 1, session, position: 0, layer: 0, rows: tokens.length, hidden }
  })
  const together = await model.layers.run(group, nLayers)
  expect(together.map((out) => (out as Activation).hidden)).toEqual(group.map(() => expected))
  expect(reads).toEqual([0, 1, 2])
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

test('a step that fails halfway forgets what it may have overwritten', async () => {
  const reference = await createReferenceBackend()
  let fails = false
  const backend: Backend = {
    ...reference,
    swiglu(...args) {
      if (fails) throw new Error('the power went out')
      reference.swiglu(...args)
    },
  }
  const model = await loadModel(bytesSource(tinyModel({ nLayers })), backend)
  await run(model, { position: 0, of: tokens })
  fails = true
  await expect(run(model, { position: 2, of: [1, 2, 3] })).rejects.toThrow('the power went out')
  fails = false
  await expect(run(model, { position: 5, of: [4] })).rejects.toMatchObject({ code: 'kv-lost' })
  await run(model, { position: 2, of: [3] })
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
