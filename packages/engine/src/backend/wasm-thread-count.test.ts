import { describe, expect, test } from 'vitest'
import { createNodeHost } from '../node/wasm-host.ts'
import { chooseThreads, createMeasuredBackend } from './wasm-thread-count.ts'

describe('the number of threads', () => {
  test.each([
    { device: 'one core', most: 1, looks: [[1, 10]], chosen: 1 },
    {
      device: 'eight alike',
      most: 8,
      looks: [
        [1, 80],
        [2, 40],
        [4, 20],
        [8, 10],
      ],
      chosen: 8,
    },
    {
      device: 'six alike',
      most: 6,
      looks: [
        [1, 60],
        [2, 30],
        [4, 15],
        [6, 10],
      ],
      chosen: 6,
    },
    {
      device: 'two fast cores, six slow',
      most: 8,
      looks: [
        [1, 40],
        [2, 20],
        [4, 19],
        [4, 19],
      ],
      chosen: 2,
    },
    {
      device: 'memory that one core exhausts',
      most: 4,
      looks: [
        [1, 20],
        [2, 18.1],
        [2, 18.2],
      ],
      chosen: 1,
    },
    {
      device: 'another program, for a moment',
      most: 2,
      looks: [
        [1, 20],
        [2, 35],
        [2, 11],
      ],
      chosen: 2,
    },
  ])('$device: $chosen, and no further is looked', async ({ most, looks, chosen }) => {
    const left = [...looks]
    const threads = await chooseThreads(most, async (count) => {
      const [expected, ms] = left.shift()!
      expect(count).toBe(expected)
      return ms!
    })
    expect(threads).toBe(chosen)
    expect(left).toEqual([])
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
