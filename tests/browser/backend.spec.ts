import { expect } from '@playwright/test'
import { test } from './browser-test.ts'
import { inWorker } from './in-worker.ts'
import type { Verdict } from './pages/backend.worker.ts'

const script = '/backend.worker.ts'

test('the WASM backend computes what the reference computes, with one thread and with two', async ({
  page,
  pagesUrl,
}) => {
  // Plain TypeScript works out what is right: ten seconds, several times that on a busy machine.
  test.setTimeout(180_000)
  await page.goto(pagesUrl)
  for (const arithmetic of await inWorker<string[]>(page, script, 'arithmetics')) {
    for (const apart of [false, true]) {
      for (const [threads, words] of [
        [1, 'one thread'],
        [2, '2 threads'],
      ] as const) {
        await test.step(`${arithmetic}, ${words}, ${apart ? 'weights in another arena' : 'one arena'}`, async () => {
          const verdict = await inWorker<Verdict>(page, script, 'judge', arithmetic, threads, apart)
          expect(verdict.failures).toEqual([])
          expect(verdict.cases).toBeGreaterThan(20)
          expect(verdict.arenas).toBe(apart ? 2 : 1)
          expect(verdict.detail).toContain(words)
        })
      }
    }
  }
})

test('the number of threads is measured in a moment, and nothing is left of it', async ({
  page,
  pagesUrl,
}) => {
  await page.goto(pagesUrl)
  type Found = { threads: number; ms: number; memoryBytes: number }
  const { threads, ms, memoryBytes } = await inWorker<Found>(page, script, 'measureThreads')
  expect([1, 2]).toContain(threads)
  expect(memoryBytes).toBeLessThan(2 ** 20)
  console.log(`${threads} threads, chosen in ${Math.round(ms)} ms`)
})
