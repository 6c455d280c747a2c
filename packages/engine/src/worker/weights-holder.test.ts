/**
 * What a device holds when its memory is shorter than its budget: WASM memory with a maximum, for real.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createWasmBackend, type WasmBackend } from '../backend/wasm.ts'
import { EngineError } from '../errors.ts'
import { runAlone } from '../model/layers.ts'
import { createNodeHost } from '../node/wasm-host.ts'
import { createMemoryCatalogue } from '../store/memory-catalogue.ts'
import { createMemoryStore } from '../store/memory-store.ts'
import { createInlineReader } from '../store/shard-reader.ts'
import { likeliest } from '../testing/golden-model.ts'
import { createRangeServer, type RangeServer } from '../testing/range-server.ts'
import { tinyModel } from '../testing/tiny-model.ts'
import { inspectModel, openModel } from './open-model.ts'
import { createWeightsHolder, type WeightsHolder } from './weights-holder.ts'

/** 16 layers of 75 kB. */
const nLayers = 16
const contextLength = 256
const everything = { layers: Array.from({ length: nLayers }, (_, i) => i), gpuLayers: [], head: true }
const never = new AbortController().signal
const roomyBytes = 2 ** 30
/** The backend's own scratch, and what products quantize. */
const quantizedBytes = 100_000

let server: RangeServer
beforeEach(async () => {
  server = await createRangeServer(tinyModel({ nLayers, type: 'F16', contextLength, vocabSize: 600 }))
})
afterEach(() => server.close())

/** A device whose memory ends at `memoryBytes`, whatever its budget says. */
async function deviceWith(memoryBytes: number): Promise<{ backend: WasmBackend; holder: WeightsHolder }> {
  const backend = await createWasmBackend(createNodeHost(), {
    threads: 1,
    arenaBytes: Math.min(memoryBytes, 2 ** 30),
    maxBytes: memoryBytes,
  })
  const shelf = { store: createMemoryStore(), catalogue: createMemoryCatalogue() }
  const { origin } = new URL(server.url)
  const place = { shelf, packing: backend.packing, origin, onfetched: () => {} }
  const { model: ref } = await inspectModel(server.url, place)
  const model = await openModel(ref, place)
  const holder = createWeightsHolder({
    model,
    backend,
    shelf,
    reader: createInlineReader(shelf.store),
    contextLength,
  })
  return { backend, holder }
}

const prompt = Array.from({ length: 70 }, (_, i) => (i * 31) % 250)

/** Reads the prompt and says `count` tokens, greedily. */
async function answer({ layers, head }: WeightsHolder, session: number, count: number): Promise<number[]> {
  const tokens: number[] = []
  let input = prompt
  for (let position = 0; tokens.length < count; position += input.length, input = [tokens.at(-1)!]) {
    const hidden = await head!.embed(input)
    const frame = { plan: 1, session, position, layer: 0, rows: input.length, hidden }
    const out = await runAlone(layers, frame, nLayers)
    tokens.push(await likeliest(head!, out.hidden.subarray(-64)))
  }
  return tokens
}

describe('a device whose machine gives less memory than its budget allows', () => {
  it('holds less and says the same', async () => {
    const roomy = await deviceWith(roomyBytes)
    await roomy.holder.hold(everything, roomyBytes, () => {}, never)
    expect(roomy.holder.streaming()).toBeNull()
    const expected = await answer(roomy.holder, 1, 8)

    const short = await deviceWith(1_000_000)
    await short.holder.hold(everything, roomyBytes, () => {}, never)
    expect(short.holder.streaming()!.layers).toBeGreaterThan(0)
    expect(await answer(short.holder, 1, 8)).toEqual(expected)
    await short.holder.free()
    expect(short.holder.streaming()).toBeNull()
  })

  it('gives pinned layers back for conversations, and the answers stay the same', async () => {
    const roomy = await deviceWith(roomyBytes)
    await roomy.holder.hold(everything, roomyBytes, () => {}, never)
    const expected = await answer(roomy.holder, 1, 8)

    const short = await deviceWith(1_500_000)
    await short.holder.hold(everything, roomyBytes, () => {}, never)
    const layersBefore = short.holder.streaming()?.layers ?? 0
    // Two pages in each of 16 layers, 262 kB for each conversation.
    for (let session = 1; session <= 3; session++)
      expect(await answer(short.holder, session, 8)).toEqual(expected)
    expect(short.holder.streaming()!.layers).toBeGreaterThan(layersBefore)
    await expect(answer(short.holder, 5, 1).then(() => answer(short.holder, 6, 1))).rejects.toMatchObject({
      code: 'out-of-memory',
    })
    short.holder.layers.release()
    expect(await answer(short.holder, 7, 8)).toEqual(expected)
  })

  it('gives pinned layers back also when it is the head that finds no memory', async () => {
    const rows = [1, 2, 3].map((seed) => Float32Array.from({ length: 64 }, (_, i) => Math.sin(seed + i)))
    const wordsOf = async ({ head }: WeightsHolder) => {
      const words: number[] = []
      await head!.logits(rows, (logits) => void words.push(logits.argmax()))
      return words
    }
    const roomy = await deviceWith(roomyBytes)
    await roomy.holder.hold(everything, roomyBytes, () => {}, never)

    const { backend, holder } = await deviceWith(2_000_000)
    await holder.hold(everything, 2_000_000, () => {}, never)
    const layersBefore = holder.streaming()?.layers ?? 0
    // Somebody else takes what is left, to the last line of 64 bytes.
    for (let byteLength = 2 ** 20; byteLength >= 64;) {
      try {
        backend.region(byteLength)
      } catch {
        byteLength /= 2
      }
    }
    expect(await wordsOf(holder)).toEqual(await wordsOf(roomy.holder))
    expect(holder.streaming()!.layers).toBeGreaterThan(layersBefore)
  })

  it('pins in the room of a long conversation until it comes, and then no more before the next plan', async () => {
    const { holder, backend } = await deviceWith(roomyBytes)
    // A conversation at full length takes 524 kB of it.
    const budgetBytes = 1_500_000
    await holder.hold(everything, budgetBytes, () => {}, never)
    const first = holder.streaming()?.layers ?? 0
    const streamed = [first]
    let hidden = new Float32Array(64)
    const grow = async (session: number, upTo: number) => {
      for (let position = 0; position < upTo; position++) {
        const frame = { plan: 1, session, position, layer: 0, rows: 1, hidden }
        hidden = (await runAlone(holder.layers, frame, nLayers)).hidden.slice()
        streamed.push(holder.streaming()?.layers ?? 0)
        expect(backend.memoryBytes() + holder.bufferBytes()).toBeLessThanOrEqual(budgetBytes + quantizedBytes)
      }
    }
    await grow(1, contextLength)
    expect(streamed).toEqual(streamed.toSorted((a, b) => a - b))
    const longest = holder.streaming()!.layers
    expect(longest).toBeGreaterThan(first + 2)
    holder.layers.release()
    await grow(2, 8)
    expect(holder.streaming()!.layers).toBe(longest)
    holder.layers.release()
    await holder.hold(everything, budgetBytes, () => {}, never)
    expect(holder.streaming()?.layers ?? 0).toBe(first)
  })

  it('runs those for whom there is room, and tells the last whose conversation must grow', async () => {
    const short = await deviceWith(1_500_000)
    await short.holder.hold(everything, roomyBytes, () => {}, never)
    const { layers, head } = short.holder
    const frame = async (session: number, position: number, of: readonly number[]) => {
      return { plan: 1, session, position, layer: 0, rows: of.length, hidden: await head!.embed(of) }
    }
    for (const session of [1, 2]) await runAlone(layers, await frame(session, 0, prompt), nLayers)
    const group = [await frame(1, 70, [5]), await frame(3, 0, prompt), await frame(4, 0, prompt)]
    group.push(await frame(5, 0, prompt), await frame(2, 70, [5]))
    const out = await layers.run(group, nLayers)
    const told = out.map((result) => (result instanceof EngineError ? result.code : 'ran'))
    expect(told.slice(0, 2)).toEqual(['ran', 'ran'])
    expect(told.slice(3)).toEqual(['out-of-memory', 'ran'])
  })

  it('takes no more than its budget for conversations that were not planned for', async () => {
    const { holder, backend } = await deviceWith(roomyBytes)
    // All layers, the head, scratch and one conversation at full length fit.
    const budgetBytes = 2_200_000
    await holder.hold(everything, budgetBytes, () => {}, never)
    expect(holder.streaming()).toBeNull()
    const expected = await answer(holder, 1, 4)
    for (let session = 2; session <= 5; session++) {
      expect(await answer(holder, session, 4)).toEqual(expected)
      expect(backend.memoryBytes()).toBeLessThan(budgetBytes + quantizedBytes)
    }
    expect(holder.streaming()!.layers).toBeGreaterThan(0)
  })
})
