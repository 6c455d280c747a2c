/**
 * A family's evening: three devices, one room, a chat, a reload, a restart of the server.
 */
import { expect, test, type Page } from '@playwright/test'
import { startCluster, type RunningCluster } from '../cluster/run-cluster.ts'

test.describe.configure({ timeout: 120_000 })

let cluster: RunningCluster
test.beforeAll(async () => {
  cluster = await startCluster({ devices: 3, model: 'demo', split: 'even', dtype: 'f16', threads: 1 })
})
test.afterAll(() => cluster?.close())

async function chooseByHand(page: Page): Promise<void> {
  await page.getByRole('radio', { name: /demo-q8_0/ }).check()
  await page.getByRole('checkbox', { name: 'Share evenly' }).check()
  await page.getByRole('button', { name: 'Use this model' }).click()
}

const readyEverywhere = () =>
  Promise.all(
    cluster.pages.map((page) =>
      expect(page.getByTestId('readiness')).toHaveAttribute('data-phase', 'ready', { timeout: 30_000 }),
    ),
  )

async function askByHand(page: Page, question: string): Promise<string> {
  const answers = page.getByTestId('answer')
  const before = await answers.count()
  await page.getByRole('textbox', { name: 'Message' }).fill(question)
  await page.getByRole('button', { name: 'Send' }).click()
  await expect(answers).toHaveCount(before + 1)
  await expect(answers.last()).toHaveAttribute('data-state', 'done', { timeout: 30_000 })
  return answers.last().innerText()
}

test('three tabs chat; one reloads, and not a byte of weights is downloaded twice', async () => {
  const [alice, bob, charlie] = cluster.pages as [Page, Page, Page]
  await chooseByHand(alice)
  await readyEverywhere()
  for (const page of cluster.pages) {
    await expect(page.getByTestId('ring-device')).toHaveCount(3)
    expect(
      await page.getByTestId('ring-device').evaluateAll((all) => all.map((one) => one.dataset['layers'])),
    ).not.toContain('')
  }
  expect(await askByHand(bob, 'What is 7 + 5?')).toContain('12')
  const stats = bob.getByTestId('answer-stats').last()
  expect(Number(await stats.getAttribute('data-ttft-ms'))).toBeGreaterThan(0)
  expect(Number(await stats.getAttribute('data-tpot-ms'))).toBeGreaterThan(0)

  const served = await cluster.servedBytes()
  await charlie.reload()
  await readyEverywhere()
  expect(await askByHand(charlie, 'What is 7 + 5?')).toContain('12')
  expect(await askByHand(bob, 'Who are you?')).toContain('demo model')
  expect(await cluster.servedBytes()).toEqual(served)
  const state = await cluster.state(2)
  expect(state.downloadedBytes).toBe(0)
})

test('the server restarts, and the room, its plan and the chat go on', async () => {
  const [alice, bob] = cluster.pages as [Page, Page]
  await cluster.choose('demo')
  const before = (await cluster.state(0)).room!.numbered
  await cluster.restartServer()
  for (const page of cluster.pages)
    await expect(page.getByTestId('offline')).toHaveCount(0, { timeout: 20_000 })
  await readyEverywhere()
  expect((await cluster.state(1)).room!.numbered).toEqual(before)
  expect((await cluster.state(1)).room!.devices).toHaveLength(3)
  expect(await askByHand(alice, 'What is 2 + 3?')).toContain('5')
  expect(await askByHand(bob, 'What is 2 + 3?')).toContain('5')
})

test('Stop ends an answer in the middle, and Regenerate gives it whole', async () => {
  const [alice, bob] = cluster.pages as [Page, Page]
  await cluster.choose('demo')
  await readyEverywhere()
  await bob.getByRole('textbox', { name: 'Message' }).fill('Tell me a story about a fox')
  await bob.getByRole('button', { name: 'Send' }).click()
  await bob.getByRole('button', { name: 'Stop' }).click()
  const answer = bob.getByTestId('answer').last()
  await expect(answer).toHaveAttribute('data-state', 'done')
  const cut = await answer.innerText()
  await bob.getByRole('button', { name: 'Regenerate' }).click()
  await expect(answer).toHaveAttribute('data-state', 'done', { timeout: 20_000 })
  expect((await answer.innerText()).length).toBeGreaterThan(cut.length)
  expect(await askByHand(alice, 'What is 1 + 1?')).toContain('2')
})
