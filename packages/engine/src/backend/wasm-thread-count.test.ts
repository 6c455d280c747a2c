import { describe, expect, test } from 'vitest'
import { createNodeHost } from '../node/wasm-host.ts'
import { chooseThreads, createMeasuredBackend } from './wasm-thread-count.ts'

/** Times by number of threads; asking for another number is a failure. */
const choose = (most: number, timesMs: Record<number, number>) => {
  const asked: number[] = []
  const chosen = chooseThreads(most, async (threads) => {
    asked.push(threads)
    return timesMs[threads]!
  })
  return chosen.then((threads) => ({ threads, asked }))
}

describe('the number of threads', () => {
  test.each([
    { device: 'one core', most: 1, timesMs: { 1: 10 }, threads: 1 },
    { device: 'eight alike', most: 8, timesMs: { 1: 80, 2: 40, 4: 20, 8: 10 }, threads: 8 },
    { device: 'six alike', most: 6, timesMs: { 1: 60, 2: 30, 4: 15, 6: 10 }, threads: 6 },
    { device: 'two fast cores, six slow', most: 8, timesMs: { 1: 40, 2: 20, 4: 19 }, threads: 2 },
    { device: 'memory that one core exhausts', most: 4, timesMs: { 1: 20, 2: 18.1 }, threads: 1 },
    { device: 'other programs on all but one', most: 2, timesMs: { 1: 20, 2: 35 }, threads: 1 },
  ])('$device: $threads, and no further is looked', async ({ most, timesMs, threads }) => {
    const found = await choose(most, timesMs)
    expect(found.threads).toBe(threads)
    expect(found.asked).toEqual(Object.keys(timesMs).map(Number))
  })

  test('is measured with the kernels themselves, and nothing is left of it', async () => {
    const backend = await createMeasuredBackend(createNodeHost(), { maxThreads: 2 })
    expect([1, 2]).toContain(backend.threads)
    expect(backend.detail).toContain(backend.threads === 1 ? 'one thread' : '2 threads')
    expect(backend.memoryBytes()).toBeLessThan(2 ** 20)
    backend.close()
  })

  test('is one, unmeasured, in a page that cannot share memory', async () => {
    const backend = await createMeasuredBackend(
      { ...createNodeHost(), sharedMemory: false },
      { maxThreads: 8 },
    )
    expect(backend.threads).toBe(1)
    expect(backend.memoryBytes()).toBeLessThan(2 ** 17)
    backend.close()
  })
})
