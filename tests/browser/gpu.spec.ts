import { chromium, expect } from '@playwright/test'
import { chromiumArgs, chromiumPath, gpuArgs, hasSoftwareGpu, noSoftwareGpu } from '../chromium.ts'
import { test } from './browser-test.ts'
import type { GpuSpeed } from '../../packages/engine/src/worker/profile/gpu-speed.ts'
import { inWorker } from './in-worker.ts'

const script = '/gpu.worker.ts'

test.use({
  launchOptions: ({ launchOptions }, use) =>
    use({ ...launchOptions, args: [...(launchOptions.args ?? []), ...gpuArgs] }),
})

test('where there is no GPU nothing is fetched', async ({ pagesUrl }) => {
  const browser = await chromium.launch({ executablePath: await chromiumPath(), args: chromiumArgs })
  try {
    const page = await browser.newPage()
    await page.goto(pagesUrl)
    expect(await inWorker(page, script, 'open', true)).toBeNull()
    expect(await inWorker(page, script, 'fetched')).toEqual([])
  } finally {
    await browser.close()
  }
})

test.describe('in a browser with WebGPU', () => {
  test.beforeEach(async ({ page, pagesUrl }) => {
    await page.goto(pagesUrl)
    test.skip(!(await hasSoftwareGpu(page)), noSoftwareGpu)
  })

  test('a GPU that is only a program is left alone, unless asked for', async ({ page }) => {
    expect(await inWorker(page, script, 'open', false)).toBeNull()
    expect(await inWorker(page, script, 'fetched')).toEqual([])
    const gpu = await inWorker<{ name: string; bindingBytes: number }>(page, script, 'open', true)
    expect(gpu.name).toBe('google swiftshader')
    // More than the 128 MiB of those who ask for nothing.
    expect(gpu.bindingBytes).toBeGreaterThan(2 ** 27)
    expect(await inWorker(page, script, 'fetched')).toEqual([
      'ort.jspi.bundle.min.mjs',
      'ort-wasm-simd-threaded.jspi.wasm',
    ])
  })

  test('a browser without JSPI gets the runtime that does without', async ({ page }) => {
    await inWorker(page, script, 'withoutJspi')
    expect(await inWorker(page, script, 'open', true)).not.toBeNull()
    expect(await inWorker(page, script, 'fetched')).toEqual([
      'ort.webgpu.bundle.min.mjs',
      'ort-wasm-simd-threaded.asyncify.wasm',
    ])
  })

  test('a GPU that computes something else is refused', async ({ page }) => {
    await inWorker(page, script, 'breakShaders')
    await expect(inWorker(page, script, 'open', true)).rejects.toThrow(
      /The GPU .*\(google swiftshader\) cannot be used: it gave wrong results in a test/,
    )
  })

  test('buffers hold what was written, are counted, and may be too large', async ({ page }) => {
    await inWorker(page, script, 'open', true)
    const values = [1, 2, 3, 4, 5, 6, 7, 250]
    expect(await inWorker(page, script, 'roundTrip', values)).toEqual({
      read: values,
      heldBytes: 16,
      leftBytes: 0,
    })
    await expect(inWorker(page, script, 'take', 2 ** 33)).rejects.toThrow(/no room for 8589\.9 MB at once/)
  })

  test('a lost GPU says so, then and to whoever goes on', async ({ page }) => {
    await inWorker(page, script, 'open', true)
    const [told, later] = await inWorker<string[]>(page, script, 'lose')
    expect(told).toMatch(/The GPU .*\(google swiftshader\) stopped: .*run on the processor now/)
    expect(later).toBe(told)
  })

  test('an error that nobody caught ends the use of a GPU', async ({ page }) => {
    await inWorker(page, script, 'open', true)
    expect(await inWorker<string>(page, script, 'misuse')).toMatch(/stopped: .*size/i)
  })

  test('layers are measured on it, by the types that a model has, and nothing is left of it', async ({
    page,
  }) => {
    await inWorker(page, script, 'open', true)
    const storedBytes = { Q4_K: 450_000, Q6_K: 200_000, F32: 2048 }
    const model = {
      name: 'small',
      nLayers: 2,
      dim: 256,
      layerBytes: [storedBytes, storedBytes],
      outputBytes: {},
      embeddingBytes: 0,
      tiedOutput: true,
      kvBytesPerPosition: 1024,
      contextLength: 512,
    }
    type Measured = { speed: GpuSpeed; none: null; ms: number }
    const { speed, none, ms } = await inWorker<Measured>(page, script, 'measure', model)
    expect(none).toBeNull()
    expect(Object.keys(speed.weightBytesPerSec)).toEqual(['Q4_K', 'Q6_K'])
    expect(Object.values(speed.weightBytesPerSec).every((rate) => rate > 1e5)).toBe(true)
    expect(speed.copyMs).toBeGreaterThan(0)
    console.log('measured on SwiftShader in', Math.round(ms), 'ms:', speed)
  })
})
