/**
 * The behaviour of a {@link Backend}: its arithmetic, judged case by case by the reference, and how it handles memory.
 *
 * A backend's test calls `backendContract(name, create)`. What it cannot do it lists in `skip`, with a reason.
 *
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nmse } from '../testing/nmse.ts'
import type { Backend } from './backend.ts'
import { cases, titleOf, type Case } from './contract-cases.ts'
import { createBench, perform } from './contract-perform.ts'
import { createReferenceBackend } from './reference.ts'

/** Cases that an implementation cannot do: those whose title starts like this. */
export type Skip = { title: string; reason: string }

export function backendContract(
  name: string,
  create: () => Promise<Backend>,
  skip: readonly Skip[] = [],
): void {
  backendArithmetic(name, create, skip)
  backendMemory(name, create)
}

/** What the reference says, worked out once for all implementations under test. */
const answers = new Map<Case, Float32Array>()

function backendArithmetic(name: string, create: () => Promise<Backend>, skip: readonly Skip[]): void {
  describe(`${name} computes what the reference computes`, () => {
    let backend: Backend
    let judge: Backend
    const worst = new Map<string, number>()
    beforeAll(async () => {
      backend = await create()
      judge = await createReferenceBackend()
    })
    afterAll(() => {
      backend.close()
      const errors = [...worst].map(([op, error]) => `${op} ${error.toExponential(1)}`)
      console.info(`${name} (${backend.detail}), worst NMSE: ${errors.join(' · ')}`)
    })

    for (const testCase of cases) {
      const title = titleOf(testCase)
      const skipped = skip.find((entry) => title.startsWith(entry.title))
      test.skipIf(skipped)(skipped ? `${title}: skipped, ${skipped.reason}` : title, () => {
        const want = answers.get(testCase) ?? perform(judge, testCase)
        answers.set(testCase, want)
        const error = nmse(perform(backend, testCase), want)
        const kind = testCase.op === 'matmul' ? `matmul ${testCase.types.join('+')}` : testCase.op
        worst.set(kind, Math.max(error, worst.get(kind) ?? 0))
        expect(error, testCase.because).toBeLessThanOrEqual(testCase.maxNmse)
      })
    }
  })
}

/** How a backend hands out memory; the reference too is held to this. */
export function backendMemory(name: string, create: () => Promise<Backend>): void {
  describe(`${name} handles memory as the seam says`, () => {
    let backend: Backend
    beforeAll(async () => {
      backend = await create()
    })
    afterAll(() => backend.close())

    test('what is freed is no longer counted, and freeing twice frees once', () => {
      const before = backend.memoryBytes()
      const region = backend.region(1 << 20)
      const scratch = backend.scratch(1000)
      const cache = backend.kvCache(2, 32)
      cache.reserve(100)
      expect(backend.memoryBytes()).toBeGreaterThanOrEqual(before + (1 << 20) + 4000 + cache.byteLength)
      for (const thing of [region, scratch, cache, region, scratch]) thing.free()
      expect(backend.memoryBytes()).toBe(before)
    })

    test('a cache takes the bytes that it said it would', () => {
      const cache = backend.kvCache(2, 32)
      for (const positions of [0, 1, 64, 65, 700, 5000]) {
        const expected = cache.bytesFor(positions)
        cache.reserve(positions)
        expect(cache.byteLength).toBe(expected)
      }
      cache.free()
    })

    test('memory that was freed is used again before more is taken', () => {
      const sizes = [3 << 20, 1 << 20, 2 << 20]
      const fill = () => sizes.map((byteLength) => backend.region(byteLength))
      let regions = fill()
      const most = backend.reservedBytes()
      expect(most).toBeGreaterThanOrEqual(backend.memoryBytes())
      for (let again = 0; again < 4; again++) {
        for (const i of [1, 0, 2]) regions[i]!.free()
        regions = fill()
        expect(backend.reservedBytes()).toBe(most)
      }
      for (const region of regions) region.free()
    })

    test('scratch is zeroed, also where something lay before', () => {
      const used = backend.scratch(5000)
      used.values().fill(7)
      used.free()
      const fresh = backend.scratch(5000)
      expect(fresh.values().every((value) => value === 0)).toBe(true)
      fresh.free()
    })

    test('a cache costs nothing while empty, then grows to what is asked for', () => {
      const cache = backend.kvCache(2, 32)
      expect([cache.capacity, cache.byteLength]).toEqual([0, 0])
      cache.reserve(1)
      const first = cache.byteLength
      expect(cache.capacity).toBeGreaterThanOrEqual(1)
      cache.reserve(600)
      expect(cache.capacity).toBeGreaterThanOrEqual(600)
      expect(cache.byteLength).toBeGreaterThan(first)
      cache.reserve(5)
      expect(cache.capacity).toBeGreaterThanOrEqual(600)
      cache.free()
      expect([cache.capacity, cache.byteLength]).toEqual([0, 0])
    })

    test('handles stay good when memory grows after they were made', () => {
      const bench = createBench(backend)
      const w = bench.matrix('Q8_0', 16, 64)
      const x = bench.values(64)
      const [before, after] = [bench.zeros(16), bench.zeros(16)]
      backend.matmul([{ out: before, w }], x, 1)
      const answer = before.values().slice()
      const more = backend.region(48 << 20)
      backend.matmul([{ out: after, w }], x, 1)
      expect(nmse(after.values(), answer)).toBe(0)
      more.free()
      bench.free()
    })

    test('two caches grown in turns keep their own positions', () => {
      const bench = createBench(backend)
      const shape = (position: number) => ({ rows: 50, heads: 2, position })
      const inputs = [0, 1, 2, 3, 4, 5].map(() => bench.values(50 * 2 * 16))
      const out = bench.zeros(50 * 2 * 16)
      const step = (cache: ReturnType<typeof backend.kvCache>, position: number, from: number) => {
        cache.reserve(position + 50)
        const [q, k, v] = [inputs[from]!, inputs[(from + 1) % 6]!, inputs[(from + 2) % 6]!]
        backend.attention(out, q, k, v, cache, shape(position))
        return out.values().slice()
      }
      const alone = bench.kvCache(2, 16)
      const expected = [0, 50, 100, 150].map((position, i) => step(alone, position, i))
      const [alice, bob] = [bench.kvCache(2, 16), bench.kvCache(2, 16)]
      for (const [i, position] of [0, 50, 100, 150].entries()) {
        expect(nmse(step(alice, position, i), expected[i]!)).toBeLessThanOrEqual(1e-12)
        step(bob, position, i + 1)
      }
      bench.free()
    })

    test('more memory than there is is refused in a sentence, and what is held stays good', () => {
      const bench = createBench(backend)
      const x = bench.values(8)
      const held = backend.memoryBytes()
      expect(() => backend.region(2 ** 45)).toThrow(expect.objectContaining({ code: 'out-of-memory' }))
      const cache = bench.kvCache(1, 8)
      cache.reserve(10)
      const { capacity } = cache
      expect(() => cache.reserve(2 ** 40)).toThrow(expect.objectContaining({ code: 'out-of-memory' }))
      expect(cache.capacity).toBe(capacity)
      expect(x.values().some((value) => value !== 0)).toBe(true)
      cache.free()
      expect(backend.memoryBytes()).toBe(held)
      bench.free()
    })
  })
}
