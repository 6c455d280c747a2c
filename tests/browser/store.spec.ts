import { fileURLToPath } from 'node:url'
import { chromium, expect } from '@playwright/test'
import { xxh32 } from '../../packages/engine/src/store/checksum.ts'
import { noise } from '../../packages/engine/src/testing/noise.ts'
import { createRangeServer, type RangeServer } from '../../packages/engine/src/testing/range-server.ts'
import { chromiumArgs, chromiumPath } from '../chromium.ts'
import { test } from './browser-test.ts'
import { inWorker } from './in-worker.ts'

const script = '/store.worker.ts'
const mebibyte = 1024 * 1024
const content = noise(6 * mebibyte + 1000)
const hash = xxh32(content)

/** What a page of another origin must be told before it may see these. */
const cors = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'ETag, Content-Range, Content-Digest',
}

let server: RangeServer
test.beforeEach(async () => {
  server = await createRangeServer(content, { headers: { ETag: '"v1"', ...cors } })
})
test.afterEach(() => server.close())

test('OPFS and IndexedDB behave as every store', async ({ profile }) => {
  const page = await profile.tab()
  const titles = await inWorker<string[]>(page, script, 'contract')
  expect(titles.length).toBeGreaterThan(10)
  for (const title of titles) {
    await test.step(title, () => inWorker(page, script, 'runCase', title))
  }
})

test('a private window stores too, for as long as it is open', async ({ page, pagesUrl }) => {
  await page.goto(pagesUrl)
  for (const title of await inWorker<string[]>(page, script, 'contract')) {
    await test.step(title, () => inWorker(page, script, 'runCase', title))
  }
})

test('a stored shard survives the browser, and is read into shared WASM memory without a network', async ({
  profile,
}) => {
  expect(await inWorker(await profile.tab(), script, 'download', server.url)).toBe('stored')
  expect(server.servedBytes()).toBe(content.length + 1)
  await profile.restart()
  await server.close()
  expect(await inWorker(await profile.tab(), script, 'storedHash', content.length)).toBe(hash)
})

test('a tab reloaded in the middle of a download fetches at most one piece again', async ({ profile }) => {
  const page = await profile.tab()
  server.behaviour.stallAfterBytes = 3_500_000
  const interrupted = inWorker(page, script, 'download', server.url).catch(() => 'interrupted')
  await expect.poll(() => inWorker<number>(page, script, 'downloadedBytes')).toBeGreaterThan(3.1 * mebibyte)
  await page.reload()
  expect(await interrupted).toBe('interrupted')

  delete server.behaviour.stallAfterBytes
  const before = server.servedBytes()
  expect(await inWorker(page, script, 'download', server.url)).toBe('stored')
  expect(server.servedBytes() - before).toBe(content.length - 3 * mebibyte + 1)
  expect(await inWorker(page, script, 'storedHash', content.length)).toBe(hash)
})

test('two tabs of one browser fetch a shard once', async ({ profile }) => {
  const tabs = [await profile.tab(), await profile.tab()]
  const ends = await Promise.all(tabs.map((page) => inWorker(page, script, 'download', server.url)))
  expect(ends).toEqual(['stored', 'stored'])
  expect(server.servedBytes()).toBe(content.length + 2)
})

test('a tab may read what another one holds open', async ({ profile }) => {
  const [alice, bob] = [await profile.tab(), await profile.tab()]
  await inWorker(alice, script, 'download', server.url)
  await inWorker(alice, script, 'holdOpen')
  expect(await inWorker(bob, script, 'storedHash', content.length)).toBe(hash)
})

test('a model is not removed while another tab has it open, and afterwards it is', async ({ profile }) => {
  const [alice, bob] = [await profile.tab(), await profile.tab()]
  await inWorker(alice, script, 'download', server.url)
  await inWorker(alice, script, 'holdOpen')
  await expect(inWorker(bob, script, 'removeModel')).rejects.toThrow('open in another tab')
  expect(await inWorker(bob, script, 'storedHash', content.length)).toBe(hash)
  await alice.close()
  // A closed tab's handles go a moment after it.
  await expect(() => inWorker(bob, script, 'removeModel')).toPass({ timeout: 10_000 })
  expect(await inWorker(bob, script, 'stored')).toEqual([])
})

test('a damaged shard is found, removed and fetched again', async ({ profile }) => {
  const page = await profile.tab()
  await inWorker(page, script, 'download', server.url)
  await inWorker(page, script, 'damage', 2_500_000)
  await expect(inWorker(page, script, 'storedHash', content.length)).rejects.toThrow('piece 3 of 7')
  expect(await inWorker(page, script, 'download', server.url)).toBe('stored')
  expect(await inWorker(page, script, 'storedHash', content.length)).toBe(hash)
})

test('a full disk stops a download with a sentence, and with more room it goes on', async ({
  profile,
  pagesUrl,
}) => {
  const page = await profile.tab()
  const devtools = await page.context().newCDPSession(page)
  const { origin } = new URL(pagesUrl)
  await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 3_700_000 })
  const answer = await inWorker<string>(page, script, 'download', server.url)
  expect(answer).toMatch(/^storage-full: .* \d+ bytes of layer-000\. Remove a model/)

  await devtools.send('Storage.overrideQuotaForOrigin', { origin })
  const before = server.servedBytes()
  expect(await inWorker(page, script, 'download', server.url)).toBe('stored')
  expect(server.servedBytes() - before).toBeLessThanOrEqual(content.length - 2 * mebibyte + 1)
  expect(await inWorker(page, script, 'storedHash', content.length)).toBe(hash)
})

test('a write that is short without an exception is a full disk too', async ({ profile }) => {
  const page = await profile.tab()
  await inWorker(page, script, 'shortenWrites', 1_500_000)
  expect(await inWorker(page, script, 'download', server.url)).toMatch(
    new RegExp(`^storage-full: .* ${2 * mebibyte - 1_500_000} bytes of layer-000`),
  )
  await page.reload()
  const before = server.servedBytes()
  expect(await inWorker(page, script, 'download', server.url)).toBe('stored')
  expect(server.servedBytes() - before).toBe(content.length - mebibyte + 1)
  expect(await inWorker(page, script, 'storedHash', content.length)).toBe(hash)
})

test('outside a dedicated worker there is no store, and a sentence says so', async ({ page, pagesUrl }) => {
  await page.goto(pagesUrl)
  const module = new URL('../../packages/engine/src/store/opfs-store.ts', import.meta.url)
  const answer = await page.evaluate(
    async (path) => {
      const { createOpfsStore } = (await import(path)) as { createOpfsStore(): Promise<unknown> }
      return createOpfsStore().catch((thrown: unknown) => String(thrown))
    },
    `/@fs${fileURLToPath(module)}`,
  )
  expect(answer).toMatch(/no storage for models.*synchronous file access/)
})

test('a page that came by plain http is told what to do', async ({ pagesUrl }) => {
  const browser = await chromium.launch({
    executablePath: await chromiumPath(),
    args: [...chromiumArgs, '--host-resolver-rules=MAP hearth.test 127.0.0.1'],
  })
  try {
    const page = await browser.newPage()
    await page.goto(pagesUrl.replace('127.0.0.1', 'hearth.test'))
    await expect(inWorker(page, script, 'stored')).rejects.toThrow(/did not come by https.*localhost/)
  } finally {
    await browser.close()
  }
})
