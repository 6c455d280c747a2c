import { describe, expect, test } from 'vitest'
import { createNodeHost } from '../node/wasm-host.ts'
import { nmse } from '../testing/nmse.ts'
import { randomNumbers } from '../testing/random-blocks.ts'
import { backendContract } from './backend.contract.ts'
import type { Backend, KvCache } from './backend.ts'
import { createArenas } from './wasm-arenas.ts'
import { scratchBytes, type Arithmetic } from './wasm-kernels.ts'
import { createWasmBackend } from './wasm.ts'

const host = createNodeHost()
const mib = 2 ** 20

/** A backend with no room in its first arena: for weights, or for anything that a test makes. */
async function apart(what: 'weights' | 'everything', arithmetic: Arithmetic, threads: number) {
  const arenaBytes = 64 * mib
  const backend = await createWasmBackend(host, { threads, arithmetic, arenaBytes })
  const near = backend.scratch(16)
  backend.region(arenaBytes / 2 - mib)
  if (what === 'everything') backend.scratch((arenaBytes / 2 - 2 * mib) / 4)
  const far = what === 'weights' ? backend.region(mib) : backend.scratch(mib / 4)
  const bytes = 'bytes' in far ? far.bytes() : far.values()
  expect(bytes.buffer).not.toBe(near.values().buffer)
  far.free()
  return backend
}

for (const arithmetic of ['relaxed-short', 'simd'] as const) {
  for (const threads of [1, 2]) {
    const name = `wasm, ${arithmetic}, ${threads === 1 ? 'one thread' : 'two threads'}`
    backendContract(`${name}, weights in another arena`, () => apart('weights', arithmetic, threads))
  }
}
backendContract('wasm, two threads, everything in another arena', () =>
  apart('everything', 'relaxed-short', 2),
)

describe.each([0, 1])('a thread that faults in arena %i', (number) => {
  test('fails the job it was in; the next ones do without threads', async () => {
    const module = await host.compile('simd-threads')
    const arenas = createArenas({ module, shared: true, maxBytes: Infinity, arenaBytes: 2 ** 25 })
    arenas.allocateWeights(2 ** 24 - 2 ** 17)
    const arena = arenas.allocateWeights((number + 1) * 2 ** 16).arena
    expect(arena).toBe(arenas.all[number])
    const memories = arenas.all.map(({ memory }) => memory)
    const thread = await host.spawn({ module, memories, thread: 1 })
    const [rows, cols] = [4096, 256]
    const [weights, x, out] = [
      arena.allocate(rows * cols * 4),
      arena.allocate(cols * 4),
      arena.allocate(rows * 4),
    ]
    arenas.setThreads(2)
    // the caller's scratch is the last of memory, so the thread's lies beyond the end
    arena.kernels.setUp(number, 2, arena.memory.buffer.byteLength - scratchBytes)
    thread.enter({ memories, seen: 0 })
    const results = Array.from({ length: 200 }, () => {
      arena.kernels.beginProducts(x, 1, cols, 0)
      arena.kernels.addProduct(out, weights, 0, rows, 0, 0)
      return arena.kernels.runProducts()
    })
    expect(results.filter((failed) => failed === 1)).toHaveLength(1)
    expect(results.at(-1)).toBe(0)
    thread.terminate()
  })
})

/** W (512, 512) of ones. */
function ones(backend: Backend) {
  const region = backend.region(mib)
  new Float32Array(region.bytes().buffer, region.bytes().byteOffset, mib / 4).fill(1)
  return { w: backend.matrix(region, 0, 'F32', 512, 512), region }
}

test('threads come and go while arenas are opened, and all of them work in all arenas', async () => {
  const backend = await createWasmBackend(host, { threads: 1, maxThreads: 3, arenaBytes: 2 * mib })
  const [x, out] = [backend.scratch(512), backend.scratch(512)]
  x.values().fill(1)
  const held = []
  for (const threads of [3, 1, 2, 3]) {
    await backend.setThreads(threads)
    expect(backend.threads).toBe(threads)
    held.push(ones(backend))
    for (const { w } of held) {
      out.values().fill(0)
      backend.matmul([{ out, w }], x, 1)
      expect(out.values().every((value) => value === 512)).toBe(true)
    }
  }
  expect(new Set(held.map(({ region }) => region.bytes().buffer)).size).toBe(4)
  backend.close()
})

describe('a cache', () => {
  const [heads, kvHeads, headDim, rows] = [4, 2, 32, 64]
  const values = (backend: Backend, seed: number, length: number) => {
    const vector = backend.scratch(length)
    vector.values().set(randomNumbers(seed, length))
    return vector
  }
  /** Answers of one step. */
  const attend = (backend: Backend, cache: KvCache, position: number) => {
    const [q, out] = [values(backend, position + 1, rows * 128), backend.scratch(rows * 128)]
    const [k, v] = [values(backend, position + 2, rows * 64), values(backend, position + 3, rows * 64)]
    backend.attention(out, q, k, v, cache, { rows, heads, position })
    return out.values().slice()
  }

  test('that outgrows its arena goes on in another one', async () => {
    const small = await createWasmBackend(host, { threads: 2, arenaBytes: 4 * mib })
    const large = await createWasmBackend(host, { threads: 2 })
    small.scratch((2 * mib) / 4)
    const [cache, judge] = [small.kvCache(kvHeads, headDim), large.kvCache(kvHeads, headDim)]
    for (const one of [cache, judge]) one.reserve(2 * rows)
    expect(attend(small, cache, 0)).toEqual(attend(large, judge, 0))
    const beside = small.memoryBytes() - cache.byteLength
    for (const one of [cache, judge]) one.reserve(8000)
    // the scratch of both threads in the arena that was opened
    expect(small.memoryBytes() - cache.byteLength).toBe(beside + 2 * scratchBytes)
    expect(attend(small, cache, rows)).toEqual(attend(large, judge, rows))
    cache.free()
    expect(cache.byteLength).toBe(0)
    small.close()
    large.close()
  })

  test('that outgrows every arena is refused with the numbers, and holds what it held', async () => {
    const backend = await createWasmBackend(host, { threads: 1, arenaBytes: 4 * mib })
    const cache = backend.kvCache(kvHeads, headDim)
    cache.reserve(rows)
    const answer = attend(backend, cache, 0)
    expect(() => cache.reserve(20_000)).toThrow('This device could not find 4.9 MiB of memory beside the 0.')
    expect(cache.capacity).toBe(rows)
    expect(nmse(attend(backend, cache, 0), answer)).toBe(0)
    backend.close()
  })
})

test('a region that no arena can hold is refused with the numbers, and none is opened for it', async () => {
  const backend = await createWasmBackend(host, { threads: 1, arenaBytes: 4 * mib })
  const bytes = backend.memoryBytes()
  expect(() => backend.region(5 * mib)).toThrow('could not find 5.0 MiB of memory beside the 0.1 MiB in use')
  expect(backend.memoryBytes()).toBe(bytes)
  backend.close()
})
