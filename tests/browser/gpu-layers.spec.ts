import { readFile } from 'node:fs/promises'
import { expect } from '@playwright/test'
import type { Golden } from '../../packages/engine/src/testing/golden-model.ts'
import { createRangeServer } from '../../packages/engine/src/testing/range-server.ts'
import {
  hasSharedFiles,
  noSharedFiles,
  sharedJson,
  sharedPath,
} from '../../packages/engine/src/testing/shared-files.ts'
import { gpuArgs, hasSoftwareGpu, noSoftwareGpu } from '../chromium.ts'
import { test } from './browser-test.ts'
import { inWorker } from './in-worker.ts'

const script = '/gpu-layers.worker.ts'

test.use({
  launchOptions: ({ launchOptions }, use) =>
    use({ ...launchOptions, args: [...(launchOptions.args ?? []), ...gpuArgs] }),
})

test.beforeEach(async ({ page, pagesUrl }) => {
  // Shaders for the processor take seconds to compile.
  test.setTimeout(180_000)
  await page.goto(pagesUrl)
  test.skip(!(await hasSoftwareGpu(page)), noSoftwareGpu)
  await inWorker(page, script, 'open')
})

const cors = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'ETag, Content-Range, Content-Digest',
}

/** Calls `use` with the address of a file, for as long as it takes. */
async function served<T>(path: string, use: (url: string) => Promise<T>): Promise<T> {
  const server = await createRangeServer(new Uint8Array(await readFile(path)), { headers: cors })
  try {
    return await use(server.url)
  } finally {
    await server.close()
  }
}

test('layers on a GPU behave as all layers', async ({ page }) => {
  const titles = await inWorker<string[]>(page, script, 'contract')
  expect(titles.length).toBeGreaterThan(20)
  for (const title of titles) await test.step(title, () => inWorker(page, script, 'runCase', title))
})

/** All that differs but weight types, of which the suite above has every one. */
const goldens = ['llama-Q4_K_M', 'llama3-Q8_0', 'qwen2-Q8_0']

test('golden models with their layers on a GPU agree with llama.cpp', async ({ page }) => {
  test.skip(!hasSharedFiles, noSharedFiles)
  const worst: string[] = []
  for (const name of goldens) {
    const { exact } = sharedJson<Golden>(`golden/models/${name}.json`)
    const found = await served(sharedPath(`golden/models/${name}.gguf`), (url) =>
      inWorker<number[]>(page, script, 'divergences', url, exact),
    )
    const kl = Math.max(...found.map(Math.abs))
    worst.push(`${name} ${kl.toExponential(1)}`)
    // The reference's bound: weights are exact here, and activations f32.
    expect(kl, name).toBeLessThanOrEqual(1e-3)
  }
  console.log(`GPU: KL ${worst.join(' · ')}`)
})

test('a GPU that computes wrongly is found out when it gets its first layer', async ({ page }) => {
  await inWorker(page, script, 'breakShaders')
  expect(await inWorker(page, script, 'load', 'Q8_0')).toEqual([0, 1])
  await expect(inWorker(page, script, 'load', 'Q4_0')).rejects.toThrow(/computes layer 0 wrongly/)
})

test('a full GPU refuses what is too much and keeps what it has; a lost one says so', async ({ page }) => {
  await expect(inWorker(page, script, 'grow', 300_000)).rejects.toThrow(
    /would need .* MB, and 0\.3 MB are offered/,
  )
  const grown = await inWorker<{ held: number; positions: number; said: string; after: number }>(
    page,
    script,
    'grow',
    1_000_000,
  )
  expect(grown.said).toMatch(/^gpu-full: .* and 1\.0 MB are offered/)
  expect(grown.held).toBeLessThanOrEqual(1_000_000)
  expect(grown.positions).toBeGreaterThanOrEqual(256)
  expect(grown.after).toBe(1)
  expect(await inWorker(page, script, 'lose')).toMatch(/^gpu-lost: /)
})
