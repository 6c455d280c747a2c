/**
 * A planner who believes that a GPU is fast puts layers on it: SwiftShader, which computes on the processor what a GPU
 * would.
 */
import { expect, test } from '@playwright/test'
import type { Page } from 'playwright'
import { hasSoftwareGpu, noSoftwareGpu } from '../chromium.ts'
import { databaseName, storeName } from '../../packages/engine/src/worker/profile/kept-measurements.ts'
import { startCluster, type RunningCluster } from '../cluster/run-cluster.ts'

const question = [{ role: 'user' as const, content: 'What is 7 + 5?' }]
/** llama.cpp's, of which each word wins by far. */
const words = '7 plus 5 is 12.'

let cluster: RunningCluster
test.afterEach(() => cluster.close())

/**
 * What this browser keeps of its measurements says that its GPU reads a terabyte a second.
 *
 * @returns how many measurements of it there are: of usual layers, and of those of each model
 */
const speedUpGpu = (page: Page): Promise<number> =>
  page.evaluate(
    async ([databaseName, storeName]) => {
      const asPromise = <T>(request: IDBRequest<T>) =>
        new Promise<T>((resolve, reject) => {
          request.addEventListener('success', () => resolve(request.result))
          request.addEventListener('error', () => reject(request.error))
        })
      const database = await asPromise(indexedDB.open(databaseName))
      const store = database.transaction(storeName, 'readwrite').objectStore(storeName)
      const keys = (await asPromise(store.getAllKeys())).filter((key) => String(key).startsWith('gpu '))
      for (const key of keys) {
        const entry = await asPromise(store.get(key))
        const rates: Record<string, number> = entry.measured.weightBytesPerSec
        for (const type of Object.keys(rates)) rates[type] = 1e12
        entry.measured.copyMs = 1e-3
        await asPromise(store.put(entry, key))
      }
      database.close()
      return keys.length
    },
    [databaseName, storeName] as const,
  )

test('a GPU that is said to be fast gets layers, and the room goes on when it is switched off', async () => {
  test.setTimeout(120_000)
  cluster = await startCluster({
    devices: 1,
    model: 'demo',
    split: 'fastest',
    dtype: 'f32',
    threads: 1,
    sharesMeasurements: true,
    gpu: true,
    gpuBudgetsBytes: [500e6],
  })
  const [page] = cluster.pages as [Page]
  test.skip(!(await hasSoftwareGpu(page)), noSoftwareGpu)
  await page.waitForFunction(() => window.hearth.state().abilities?.gpu)
  await cluster.choose('demo')
  // Another model in between: the plan of one that is chosen again stays, unless a token gains by what a person sees.
  await cluster.choose('/models/demo-q4_k_m.gguf')
  await expect.poll(() => speedUpGpu(page), { timeout: 20_000 }).toBe(3)
  await page.reload()
  await page.waitForFunction(() => window.hearth?.state().abilities?.gpu)

  await page.evaluate(() => window.hearth.choose('/models/demo-q8_0.gguf'))
  await expect(page.getByTestId('gpu')).toHaveText('google swiftshader, 8 layers', { timeout: 20_000 })
  await cluster.waitUntilReady()
  await expect(page.getByTestId('ring-device')).toContainText('8 of 8 layers, on its GPU')
  expect((await cluster.chat(0, 'gpu-test', question)).text).toBe(words)

  await page.evaluate(() => window.hearth.setGpuBudget(0))
  await expect(page.getByTestId('ring-device')).not.toContainText('on its GPU')
  await cluster.waitUntilReady()
  expect((await cluster.chat(0, 'gpu-test', question)).text).toBe(words)
})
