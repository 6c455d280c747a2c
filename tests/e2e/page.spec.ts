/**
 * The page as a person finds it: in a real browser, from the real server, without another device.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { chromium, expect, test as base, type Page } from '@playwright/test'
import { startServer, type RunningServer } from '@hearth/signal/server'
import { chromiumArgs, chromiumPath } from '../chromium.ts'
import { measurementsUnder } from '../cluster/known-measurements.ts'

const root = path.resolve(import.meta.dirname, '../..')

/** A server that can go away and come back at the same address. */
type Host = { url: string; stop(): Promise<void>; start(): Promise<void> }

const test = base.extend<{ host: Host; device: Page }>({
  // oxlint-disable-next-line no-empty-pattern -- Playwright reads the fixtures that are wanted from the pattern
  host: async ({}, use) => {
    const family = await mkdtemp(path.join(tmpdir(), 'hearth-models-'))
    await writeFile(path.join(family, 'holiday.gguf'), 'A photograph that somebody renamed. '.repeat(100))
    const options = {
      host: '127.0.0.1',
      webRoot: path.join(root, 'apps/web/dist'),
      modelsDirs: [path.join(root, 'public/models'), family],
    }
    let server: RunningServer | null = await startServer({ ...options, port: 0 })
    const { url, port } = server
    const stop = async () => {
      await server?.close()
      server = null
    }
    await use({
      url,
      stop,
      start: async () => {
        server = await startServer({ ...options, port })
      },
    })
    await stop()
    await rm(family, { recursive: true })
  },

  // A profile on disk, on a small screen: private windows keep no service worker and no OPFS.
  // oxlint-disable-next-line no-empty-pattern -- as above
  device: async ({}, use) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'hearth-page-'))
    const context = await chromium.launchPersistentContext(folder, {
      executablePath: await chromiumPath(),
      args: chromiumArgs,
      viewport: { width: 360, height: 740 },
    })
    await use(context.pages()[0] ?? (await context.newPage()))
    await context.close()
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  },
})

/** For tests that are not about measuring; without them a device measures itself. */
const known = measurementsUnder({ threads: 1 })

const linkOn = async (page: Page) => {
  await page.getByTestId('join-link').waitFor({ state: 'attached' })
  return page.getByTestId('join-link').getAttribute('href')
}

/** The demo model, chosen as a person would; greedy, so that answers are known. */
async function chooseDemo(page: Page, url: string, overrides = 'threads=1'): Promise<void> {
  await page.goto(`${url}/?temperature=0&${overrides}`)
  await page.getByRole('radio', { name: /demo-q8_0/ }).check()
  await page.getByRole('button', { name: 'Use this model' }).click()
  await expect(page.getByTestId('readiness')).toHaveAttribute('data-phase', 'ready', { timeout: 30_000 })
}

async function ask(page: Page, question: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).fill(question)
  await page.keyboard.press('Enter')
}

test('a first visit makes a room, and says what this device can do', async ({ host, device }) => {
  await device.goto(host.url)
  expect(await linkOn(device)).toBe(device.url())
  await expect(device.getByRole('img', { name: /QR code/ })).toBeVisible()
  await expect(device.getByTestId('ring-device')).toHaveCount(1)
  await expect(device.getByRole('region', { name: 'This device' })).toContainText(/WASM/)
})

test('a conversation streams, can be stopped and asked again, and outlives a reload', async ({
  host,
  device,
}) => {
  // The plain backend is slow enough to be stopped in the middle of an answer.
  await chooseDemo(device, host.url, 'backend=reference')
  await ask(device, 'What is 7 + 5?')
  const answers = device.getByTestId('answer')
  await expect(answers).toHaveAttribute('data-state', 'done')
  await expect(answers).toContainText('7 plus 5 is 12.')
  await expect(device.getByTestId('answer-stats')).toContainText(/TTFT [\d.]+ ms · TPOT [\d.]+ ms/)

  await ask(device, 'Tell me a story about a fox')
  await expect(answers.last()).toContainText(/\w+ \w+/)
  await device.getByRole('button', { name: 'Stop' }).click()
  await expect(answers.last()).toHaveAttribute('data-state', 'done')
  await expect(answers.last()).toContainText(/stopped/i)
  await device.getByRole('button', { name: 'Regenerate' }).click()
  await expect(device.getByRole('button', { name: 'Send' })).toBeVisible()
  await expect(answers.last()).not.toContainText(/stopped/i)

  const kept = await answers.locator('.markdown').allInnerTexts()
  await device.reload()
  await expect(device.getByTestId('readiness')).toHaveAttribute('data-phase', 'ready', { timeout: 30_000 })
  expect(await answers.locator('.markdown').allInnerTexts()).toEqual(kept)
  await device.getByRole('button', { name: 'New chat' }).click()
  await expect(answers).toHaveCount(0)
  await expect(device.getByRole('textbox', { name: 'Message' })).toBeFocused()
})

test('the page says what a token should take, why, and what it took', async ({ host, device }) => {
  await known.tell(device, host.url)
  await chooseDemo(device, host.url)
  await device.getByRole('button', { name: 'Room' }).click()
  const forecast = device.getByTestId('forecast')
  await expect(forecast).toContainText(/Expected: [\d.]+ ms per token/)
  await expect(device.getByTestId('measured')).toHaveCount(0)
  await device.getByText('Why this way?').click()
  const reason = device.getByTestId('reason')
  await expect(reason).toContainText('100 % of the time')
  await expect(reason).toContainText('Without it the model does not fit')
  await device.getByRole('button', { name: 'Chat', exact: true }).click()
  await ask(device, 'Tell me a story about a fox')
  await expect(device.getByTestId('answer')).toHaveAttribute('data-state', 'done')
  const tripMs = await device.getByTestId('answer-stats').getAttribute('data-trip-ms')
  await expect(device.getByTestId('measured')).toHaveAttribute('data-measured-ms', tripMs!)
})

test('the fire breathes, and yet nothing has every frame painted while the page is at rest', async ({
  host,
  device,
}) => {
  await chooseDemo(device, host.url)
  await device.getByRole('button', { name: 'Room' }).click()
  const ring = device.locator('.ring')
  await expect(ring).toBeVisible()
  const breath = () => ring.evaluate((svg) => (svg as SVGElement).style.getPropertyValue('--breath'))
  const before = await breath()
  await expect.poll(breath).not.toBe(before)
  await expect.poll(() => device.evaluate(() => document.getAnimations().length)).toBe(0)
})

test('what was measured is kept for the next visit, until a person asks anew', async ({ host, device }) => {
  const measuredAtMs = async () => {
    await device.getByRole('button', { name: 'Settings' }).click()
    const at = Number(await device.getByTestId('measured-at').getAttribute('data-measured-at-ms'))
    expect(at).toBeGreaterThan(0)
    return at
  }
  await device.goto(`${host.url}/?threads=1`)
  const first = await measuredAtMs()
  await device.reload()
  expect(await measuredAtMs()).toBe(first)
  await device.getByRole('button', { name: 'Measure again' }).click()
  await expect(device.getByRole('button', { name: 'Measure again' })).toBeEnabled({ timeout: 20_000 })
  const again = Number(await device.getByTestId('measured-at').getAttribute('data-measured-at-ms'))
  expect(again).toBeGreaterThan(first)
})

test('nothing is wider than a small phone', async ({ host, device }) => {
  const widest = () => device.evaluate(() => document.documentElement.scrollWidth)
  await known.tell(device, host.url)
  await device.goto(`${host.url}/?threads=1`)
  await linkOn(device)
  expect(await widest()).toBe(360)
  await chooseDemo(device, host.url)
  expect(await widest()).toBe(360)
  await device.getByRole('button', { name: 'Settings' }).click()
  expect(await device.getByRole('dialog').evaluate((dialog) => dialog.scrollWidth)).toBeLessThan(360)
})

test('a wrong link and a cut one are refused in a sentence, and lead to a new room', async ({
  host,
  device,
}) => {
  await device.goto(`${host.url}/#join=AAAAAAAAAAAAAAAAAAAAAAAAAAA`)
  await expect(device.getByTestId('problem')).toContainText('This link leads to no room')
  await device.goto(`${host.url}/#join=cut`)
  await expect(device.getByTestId('problem')).toContainText('not a whole join link')
  await device.getByRole('button', { name: 'Start a new room' }).click()
  expect(await linkOn(device)).toBe(device.url())
})

test('what is no model is refused beside the choice', async ({ host, device }) => {
  await device.goto(host.url)
  await device.getByRole('radio', { name: /holiday/ }).check()
  await device.getByRole('button', { name: 'Use this model' }).click()
  const problem = device.getByRole('region', { name: 'Model' }).getByRole('alert')
  await expect(problem).toContainText('GGUF')
  await device.getByRole('radio', { name: 'From elsewhere' }).check()
  await expect(device.getByRole('button', { name: 'Use this model' })).toBeDisabled()
  await device.getByRole('textbox', { name: /Hugging Face/ }).fill('owner/repo')
  await device.getByRole('button', { name: 'Use this model' }).click()
  await expect(problem).toContainText('owner/repo')
})

test('without the server the shell works, isolated, says so, and comes back by itself', async ({
  host,
  device,
}) => {
  await device.goto(host.url)
  const link = await linkOn(device)
  await device.evaluate(() => navigator.serviceWorker.ready)
  await expect
    .poll(() => device.evaluate(async () => (await caches.keys()).some((name) => name.includes('precache'))))
    .toBe(true)
  await host.stop()
  await expect(device.getByTestId('offline')).toContainText('The server is out of reach; trying again')
  // From the home screen: no fragment, no network.
  await device.goto(`${host.url}/`)
  await expect(device.getByRole('heading', { name: 'The server is out of reach' })).toBeVisible()
  expect(await device.evaluate(() => crossOriginIsolated)).toBe(true)
  const cached = await device.evaluate(async () => {
    const paths: string[] = []
    for (const name of await caches.keys())
      for (const { url } of await (await caches.open(name)).keys()) paths.push(new URL(url).pathname)
    return paths
  })
  expect(cached.filter((name) => name.endsWith('.wasm'))).not.toEqual([])
  expect(cached.filter((name) => /^\/(models|ws|health|stats)/.test(name))).toEqual([])
  await host.start()
  expect(await linkOn(device)).toBe(link)
})
