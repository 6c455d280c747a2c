/**
 * Answers that go on when a device leaves in their middle: three real tabs, of which one is closed, and the words.
 */
import { expect, test, type Page } from '@playwright/test'
import {
  begin,
  endless,
  endOf,
  heard,
  inTheMiddle,
  openEndlessRoom,
  placesIn,
  ready,
  type EndlessRoom,
} from './endless-room.ts'

// Starting browsers takes a busy machine its time.
test.describe.configure({ timeout: 120_000 })

const tokens = 1000
let room: EndlessRoom
/** Those that are open. */
let pages: Page[]
let expected: string

test.beforeAll(async () => {
  room = await openEndlessRoom('f32')
  pages = [...room.cluster.pages]
  await begin(pages[0]!, 'undisturbed', tokens)
  expect(await endOf(pages[0]!, 'undisturbed', 30_000)).toBe('length')
  expected = (await heard(pages[0]!, 'undisturbed')).text
})
test.afterAll(() => room?.close())

async function close(page: Page): Promise<void> {
  pages = pages.filter((other) => other !== page)
  await page.close()
}

async function comeInPlace(name: string): Promise<void> {
  pages.push(await room.cluster.join(name))
  await pages.at(-1)!.waitForFunction(() => (window.hearth?.state().abilities ?? null) !== null)
  await pages[0]!.evaluate((source) => window.hearth.choose(source, { split: 'even' }), endless)
  const areIn = (devices: number) =>
    new Set(window.hearth.state().room?.numbered?.plan.windows.map((w) => w.device)).size === devices
  for (const page of pages) await page.waitForFunction(areIn, pages.length)
  await ready(...pages)
}

test('an answer has the same words when a device of the ring is closed in its middle', async () => {
  const { follower, third, head } = await placesIn(pages)
  for (const page of [third, head]) await inTheMiddle(page, 'follower-closed', tokens)
  await close(follower)
  for (const page of [third, head]) {
    expect(await endOf(page, 'follower-closed', 60_000)).toBe('length')
    const { text, pauses } = await heard(page, 'follower-closed')
    expect(text).toBe(expected)
    expect(pauses.at(-1)).toMatch(/^\w+ left; laying the ring again …$/)
  }
})

test('the page says calmly what an answer waits for, and it stops at once', async () => {
  await comeInPlace('dora')
  const { follower, third } = await placesIn(pages)
  const name = (await follower.evaluate(() => window.hearth.state())).name
  await third.getByRole('textbox', { name: 'Message' }).fill('the hearth')
  await third.keyboard.press('Enter')
  const answer = third.getByTestId('answer').last()
  await expect(answer.locator('.markdown')).not.toBeEmpty()
  await close(follower)
  await expect(answer.getByText(`${name} left; laying the ring again …`)).toBeVisible()
  await third.getByRole('button', { name: 'Stop' }).click()
  await expect(answer.getByText('Stopped here.')).toBeVisible({ timeout: 1000 })
  await expect(answer.locator('.markdown')).not.toBeEmpty()
  await ready(...pages)
})

test('an answer has the same words when the head is closed in its middle', async () => {
  await comeInPlace('emil')
  const { head, follower, third } = await placesIn(pages)
  for (const page of [follower, third]) await inTheMiddle(page, 'head-closed', tokens)
  await close(head)
  for (const page of [follower, third]) {
    expect(await endOf(page, 'head-closed', 60_000)).toBe('length')
    expect((await heard(page, 'head-closed')).text).toBe(expected)
  }
})
