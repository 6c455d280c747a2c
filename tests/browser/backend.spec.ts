import { expect } from '@playwright/test'
import { inWorker, test } from './browser-test.ts'
import type { Verdict } from './pages/backend.worker.ts'

const script = '/backend.worker.ts'

test('the WASM backend computes what the reference computes, with one thread and with two', async ({
  page,
  pagesUrl,
}) => {
  // Plain TypeScript works out what is right: half a minute on a busy machine of two cores.
  test.setTimeout(180_000)
  await page.goto(pagesUrl)
  for (const arithmetic of await inWorker<string[]>(page, script, 'arithmetics')) {
    for (const [threads, words] of [
      [1, 'one thread'],
      [2, '2 threads'],
    ] as const) {
      await test.step(`${arithmetic}, ${words}`, async () => {
        const verdict = await inWorker<Verdict>(page, script, 'judge', arithmetic, threads)
        expect(verdict.failures).toEqual([])
        expect(verdict.cases).toBeGreaterThan(20)
        expect(verdict.detail).toContain(words)
      })
    }
  }
})
