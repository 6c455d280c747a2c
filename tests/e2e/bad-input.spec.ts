/**
 * One device and what it is given: models that are none of ours, servers that answer wrongly, a full disk, a page over
 * plain http, a second tab, the way back.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test, type Page } from '@playwright/test'
import { tinyModel } from '@hearth/engine/testing'
import { createRangeServer, type RangeServer } from '../../packages/engine/src/testing/range-server.ts'
import { startServer } from '@hearth/signal/server'
import { startCluster, type RunningCluster } from '../cluster/run-cluster.ts'

const root = path.resolve(import.meta.dirname, '../..')
const tiny = tinyModel({ nLayers: 4, contextLength: 512, seed: 5 })
/** Large enough that a full disk is met in the middle of it. */
const large = tinyModel({ nLayers: 4, dim: 256, seed: 6 })
test.describe.configure({ timeout: 120_000 })

let folder: string
let cluster: RunningCluster
let page: Page
let elsewhere: RangeServer

test.beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'hearth-bad-input-'))
  const good = path.join(folder, 'good.gguf')
  const files: Record<string, Uint8Array> = {
    good: tiny,
    large,
    mamba: tinyModel({ metadata: { 'general.architecture': 'mamba' } }),
    truncated: tiny.subarray(0, tiny.length - 5000),
    changing: tiny,
  }
  for (const [name, bytes] of Object.entries(files)) await writeFile(path.join(folder, `${name}.gguf`), bytes)
  cluster = await startCluster({
    devices: 1,
    model: good,
    split: 'even',
    dtype: 'f16',
    threads: 1,
    sharesMeasurements: true,
  })
  page = cluster.pages[0]!
  elsewhere = await createRangeServer(tiny, { headers: { 'Access-Control-Allow-Origin': '*' } })
})
test.afterAll(async () => {
  await cluster?.close()
  await elsewhere?.close()
  await rm(folder, { recursive: true, force: true })
})

const phaseIs = (of: Page, phase: string) =>
  expect(of.getByTestId('readiness')).toHaveAttribute('data-phase', phase, { timeout: 30_000 })

/** Types an address into the picker, as a person would. */
async function pick(source: string): Promise<void> {
  const another = page.getByRole('button', { name: 'Choose another model' })
  if (await another.isVisible()) await another.click()
  await page.getByRole('radio', { name: 'From elsewhere' }).check()
  await page.getByRole('textbox', { name: /Hugging Face/ }).fill(source)
  await page.getByRole('button', { name: 'Use this model' }).click()
}

test('a model that cannot run is refused by name at the picker, and a good one can be chosen right after', async () => {
  const problem = page.getByRole('region', { name: 'Model' }).getByRole('alert')
  await pick(`${cluster.url}/models/mamba.gguf`)
  await expect(problem).toContainText(/"mamba".*llama and qwen2/)
  await pick(`${cluster.url}/models/truncated.gguf`)
  await expect(problem).toContainText(/ends|truncated|bytes/)
  elsewhere.behaviour.ignoreRanges = true
  await pick(elsewhere.url)
  await expect(problem).toContainText(/range/)
  delete elsewhere.behaviour.ignoreRanges
  await pick(elsewhere.url)
  await phaseIs(page, 'ready')
  await expect(problem).toHaveCount(0)
})

test('a file that changes after it was chosen is not loaded half old and half new', async () => {
  const budgetBytes = await page.evaluate(() => window.hearth.state().memoryBudgetBytes)
  await page.evaluate(() => window.hearth.choose('/models/changing.gguf'))
  await page.waitForFunction(() => window.hearth.state().room?.choice?.model.url.includes('changing'))
  await phaseIs(page, 'ready')
  await writeFile(path.join(folder, 'changing.gguf'), tinyModel({ nLayers: 4, contextLength: 512, seed: 9 }))
  const late = await cluster.join('bob')
  await page.waitForFunction(
    () => window.hearth.state().room?.devices.filter(({ profile }) => profile).length === 2,
  )
  // Now the model must move to the newcomer, who finds another file at the same address.
  await page.evaluate(() => window.hearth.setMemoryBudget(1_000_000))
  for (const each of [page, late]) {
    await phaseIs(each, 'failed')
    await expect(each.getByTestId('problem').first()).toContainText(
      /no longer the one that was chosen.*Choose the model again/,
    )
  }
  await page.evaluate((bytes) => window.hearth.setMemoryBudget(bytes), budgetBytes)
  await page.getByRole('button', { name: 'Try again' }).click()
  for (const each of [page, late]) await phaseIs(each, 'ready')
  await cluster.dismiss(late)
})

test('a full disk is told to everybody in a sentence, and with more room it goes on', async () => {
  const origin = new URL(cluster.url).origin
  const late = await cluster.join('charlie', {
    measures: true,
    async prepare(context) {
      const devtools = await context.newCDPSession(context.pages()[0]!)
      await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 3_000_000 })
    },
  })
  // It measured its disk with less than usual.
  await late.waitForFunction(() => (window.hearth?.state().abilities ?? null) !== null)
  await page.evaluate(() => window.hearth.choose('/models/large.gguf', { split: 'even' }))
  for (const each of [page, late]) {
    await phaseIs(each, 'failed')
    await expect(each.getByTestId('problem').first()).toContainText(/charlie: .*\d+ bytes.*Remove a model/)
  }
  const devtools = await late.context().newCDPSession(late)
  await devtools.send('Storage.overrideQuotaForOrigin', { origin })
  await late.getByRole('button', { name: 'Try again' }).click()
  for (const each of [page, late]) await phaseIs(each, 'ready')
  await cluster.dismiss(late)
})

test('a second tab of one browser is a second device, and the way back leads into the room again', async () => {
  const tab = await page.context().newPage()
  await tab.goto(cluster.joinLink)
  await tab.waitForFunction(() => (window.hearth?.state().abilities ?? null) !== null)
  await page.evaluate(() => window.hearth.choose('/models/good.gguf', { split: 'even' }))
  const ids = await Promise.all([page, tab].map((each) => each.evaluate(() => window.hearth.state().device)))
  expect(new Set(ids).size).toBe(2)
  await page.waitForFunction(
    (mine) =>
      mine.every((id) =>
        window.hearth.state().room?.numbered?.plan.windows.some(({ device }) => device === id),
      ),
    ids,
  )
  for (const each of [page, tab]) await phaseIs(each, 'ready')

  await tab.goto('about:blank')
  await tab.goBack()
  await phaseIs(tab, 'ready')
  expect(await tab.evaluate(() => window.hearth.state().device)).toBe(ids[1])
  expect(await tab.evaluate(() => window.hearth.state().downloadedBytes)).toBe(0)

  // A link to another room, pasted into the same tab, changes the fragment alone.
  await tab.evaluate(() => window.hearth.newRoom())
  await tab.waitForFunction(() => window.hearth.state().room?.devices.length === 1)
  await tab.goto(cluster.joinLink)
  await tab.waitForFunction(
    (id) => window.hearth?.state().room?.devices.some(({ device }) => device === id),
    ids[0],
  )
  await tab.close()
})

test('over plain http the page says what is missing and how to get it, and throws nothing', async () => {
  const addresses = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const lan = addresses.find(({ family, internal }) => family === 'IPv4' && !internal)
  test.skip(!lan, 'this machine has no address but its own')
  const server = await startServer({
    port: 0,
    host: '0.0.0.0',
    webRoot: path.join(root, 'apps/web/dist'),
    modelsDirs: [folder],
  })
  const errors: string[] = []
  const plain = await page.context().newPage()
  plain.on('pageerror', ({ message }) => errors.push(message))
  try {
    await plain.goto(`http://${lan!.address}:${server.port}/`)
    await expect(plain.getByTestId('problem')).toContainText(/plain http.*https:\/\/.*localhost/)
    await plain.getByRole('button', { name: 'Settings' }).click()
    await plain.getByRole('button', { name: 'Measure again' }).click()
    await plain.getByRole('button', { name: 'New room' }).click()
    await plain.waitForTimeout(300)
    expect(errors).toEqual([])
  } finally {
    await plain.close()
    await server.close()
  }
})

test('a browser that keeps nothing for the page is told so', async () => {
  const guest = await cluster.join('dora', {
    prepare: (context) =>
      context.addInitScript(() => {
        Object.defineProperty(window, 'localStorage', {
          get: () => {
            throw new DOMException('Access is denied for this document.', 'SecurityError')
          },
        })
      }),
  })
  await expect(guest.getByTestId('problem')).toContainText(/allow this site to keep data/)
  await guest.context().close()
})

test('an engine that cannot be loaded is said to have stopped, and holds up nobody', async () => {
  const guest = await cluster.join('emil', {
    prepare: (context) => context.route(/assets\/main-.*\.js/, (route) => route.abort()),
  })
  await expect(guest.getByTestId('problem')).toContainText(/The engine stopped: .*Reload the page/)
  await page.waitForFunction(() => !window.hearth.state().room?.devices.some(({ name }) => name === 'emil'))
  const refusal = await guest.evaluate(() =>
    window.hearth.choose('/models/good.gguf').then(String, ({ message }: Error) => message),
  )
  expect(refusal).toMatch(/The engine stopped/)
  await guest.context().close()
})

test('a page whose engine stops before it has entered a room enters none', async () => {
  const sockets: string[] = []
  const guest = await cluster.join('fritz', {
    async prepare(context) {
      for (const opened of context.pages()) opened.on('websocket', (socket) => sockets.push(socket.url()))
      await context.route(/assets\/main-.*\.js/, (route) => route.abort())
      await context.addInitScript(() => {
        const deriveKey = crypto.subtle.deriveKey.bind(crypto.subtle)
        crypto.subtle.deriveKey = async (...options: Parameters<typeof deriveKey>) => {
          await new Promise((resolve) => setTimeout(resolve, 1000))
          return deriveKey(...options)
        }
      })
    },
  })
  await expect(guest.getByTestId('problem')).toContainText(/The engine stopped/)
  expect(sockets).toEqual([])
  await guest.context().close()
})
