/**
 * A phone scans the code on the laptop: https at home, with a certificate that nobody vouches for.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test, type Page } from '@playwright/test'
import { houseCertificate } from '@hearth/signal/certificate'
import { startServer, type RunningServer } from '@hearth/signal/server'
import { createBrowsers, type Browsers } from '../cluster/browsers.ts'

const root = path.resolve(import.meta.dirname, '../..')

let folder: string
let server: RunningServer
let browsers: Browsers

test.beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'hearth-house-'))
  server = await startServer({
    port: 0,
    host: '127.0.0.1',
    webRoot: path.join(root, 'apps/web/dist'),
    modelsDirs: [path.join(root, 'public/models')],
    house: {
      // To a browser another host than localhost, and on every machine.
      hosts: () => ['127.0.0.1'],
      certificate: await houseCertificate(path.join(folder, 'certificate.pem'), ['127.0.0.1'], console.log),
    },
  })
  browsers = await createBrowsers({ log: console.log })
})
test.afterEach(async () => {
  await browsers.close()
  await server.close()
  await rm(folder, { recursive: true })
})

async function goPastWarning(page: Page, url: string): Promise<void> {
  await expect(page.goto(url)).rejects.toThrow('ERR_CERT_AUTHORITY_INVALID')
  await page.locator('#details-button').click()
  await page.locator('#proceed-link').click()
}

test('a device past the warning has storage and threads, joins the room of one at localhost, and asks', async () => {
  test.setTimeout(120_000)
  const [laptop, phone] = [await browsers.open(false), await browsers.open(false)]
  await laptop.goto(server.url)
  const link = laptop.getByTestId('join-link')
  await expect(laptop).toHaveURL(/#join=/)
  await expect(link).toHaveText(`${server.houseUrls[0]}/${new URL(laptop.url()).hash}`)
  await expect(laptop.getByText('warn once')).toBeVisible()

  await goPastWarning(phone, (await link.textContent())!)
  await expect(phone.getByTestId('join-link')).toHaveText((await link.textContent())!)
  expect(await phone.evaluate(() => [isSecureContext, crossOriginIsolated])).toEqual([true, true])

  await phone.getByRole('radio', { name: /demo-q8_0/ }).check()
  await phone.getByRole('checkbox', { name: 'Share evenly' }).check()
  await phone.getByRole('button', { name: 'Use this model' }).click()
  for (const page of [laptop, phone]) {
    await expect(page.getByTestId('readiness')).toHaveAttribute('data-phase', 'ready', { timeout: 60_000 })
    await expect(page.getByTestId('ring-device')).toHaveCount(2)
  }
  await phone.getByRole('textbox', { name: 'Message' }).fill('What is 7 + 5?')
  await phone.getByRole('button', { name: 'Send' }).click()
  await expect(phone.getByTestId('answer').last()).toHaveAttribute('data-state', 'done', { timeout: 30_000 })
  await expect(phone.getByTestId('answer').last()).toContainText('12')
})

test('who types the address without https gets there', async () => {
  const page = await browsers.open(false)
  await goPastWarning(page, `http://127.0.0.1:${server.port}/`)
  await expect(page).toHaveURL(`${server.houseUrls[0]}/`)
  await expect(page.getByTestId('join-link')).toContainText(server.houseUrls[0]!)
})
