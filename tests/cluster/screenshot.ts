/**
 * `npm run screenshot`: takes the README's picture of a real room of three devices.
 *
 * @module
 */
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { Page } from 'playwright'
import { startCluster } from './run-cluster.ts'

const folder = path.resolve(import.meta.dirname, '../../public/readme')

async function ask(page: Page, question: string): Promise<void> {
  const answers = page.getByTestId('answer')
  const before = await answers.count()
  await page.getByRole('textbox', { name: 'Message' }).fill(question)
  await page.getByRole('button', { name: 'Send' }).click()
  await page.locator('[data-testid=answer][data-state=done]').nth(before).waitFor()
}

const cluster = await startCluster({
  devices: 3,
  model: 'demo',
  split: 'even',
  dtype: 'f16',
  threads: 1,
  names: ['Laptop', 'Anna’s tablet', 'Kitchen phone'],
})
try {
  await mkdir(folder, { recursive: true })
  await cluster.choose('demo')
  const [laptop, , phone] = cluster.pages as [Page, Page, Page]
  await laptop.setViewportSize({ width: 1280, height: 800 })
  await ask(laptop, 'How do you work?')
  await ask(laptop, 'Tell me a story about a fox')
  await laptop.screenshot({ path: path.join(folder, 'room.png') })
  await phone.setViewportSize({ width: 360, height: 740 })
  await ask(phone, 'What is 7 + 5?')
  await phone.screenshot({ path: path.join(folder, 'phone.png') })
} finally {
  await cluster.close()
}
