/**
 * A room of three devices that run a model which never ends an answer by itself, so that there is always a middle in
 * which something can happen; and questions whose answers go on in the pages while a test looks elsewhere.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test, type Page } from '@playwright/test'
import type { ClusterState } from '@hearth/engine'
import { tinyModel } from '@hearth/engine/testing'
import { startCluster, type RunningCluster } from '../cluster/run-cluster.ts'

/** Made-up weights repeat themselves: with guesses an answer would be over before anything happens to it. */
const drafts = 'never'

/** What a person would choose it by. */
export const endless = '/models/endless.gguf'

export interface EndlessRoom {
  readonly cluster: RunningCluster
  readonly alice: Page
  readonly bob: Page
  readonly charlie: Page
  /** What every ring must say: the answer before any trouble. */
  readonly expected: string
  /** Who holds what part: the head, its follower in the ring, and the third. */
  places(): Promise<Places>
  /** What was thrown past the pages since the last call. */
  thrown(): string[]
  close(): Promise<void>
}

/** One room for all tests of a file, none of which may have anything thrown past the pages. */
export function shareEndlessRoom(enter: (room: EndlessRoom) => void): void {
  // Starting browsers takes a busy machine its time.
  test.describe.configure({ timeout: 120_000 })
  let room: EndlessRoom | undefined
  test.beforeAll(async () => enter((room = await openEndlessRoom())))
  test.afterAll(() => room?.close())
  test.afterEach(() => expect(room?.thrown(), 'nothing is thrown past the pages').toEqual([]))
}

/** @param dtype f16 rounds hidden states where they change devices, which is elsewhere in another plan */
export async function openEndlessRoom(dtype: 'f16' | 'f32' = 'f16'): Promise<EndlessRoom> {
  const folder = await mkdtemp(path.join(tmpdir(), 'hearth-endless-'))
  const model = path.join(folder, 'endless.gguf')
  await writeFile(model, tinyModel({ nLayers: 6, contextLength: 4096, seed: 3 }))
  const pageErrors: string[] = []
  const cluster = await startCluster({
    devices: 3,
    model,
    split: 'even',
    dtype,
    drafts,
    threads: 1,
    sharesMeasurements: true,
    log: (line) => void pageErrors.push(line),
  })
  const [alice, bob, charlie] = cluster.pages as [Page, Page, Page]
  await cluster.choose(endless)
  const expected = await short(alice, 'judge-of-all')
  pageErrors.length = 0

  return {
    cluster,
    alice,
    bob,
    charlie,
    expected,
    places: () => placesIn(cluster.pages),
    thrown: () => pageErrors.splice(0),
    async close() {
      await cluster.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

type Places = { head: Page; follower: Page; third: Page }

/** Who of a ring's three pages holds what part. */
export async function placesIn(pages: readonly Page[]): Promise<Places> {
  const states = await Promise.all(pages.map(stateOf))
  const { plan } = states[0]!.room!.numbered!
  const others = plan.windows.map(({ device }) => device).filter((device) => device !== plan.head)
  const pageOf = (device: string | undefined) => pages[states.findIndex((state) => state.device === device)]!
  return { head: pageOf(plan.head), follower: pageOf(others[0]), third: pageOf(others[1]) }
}

type Heard = {
  text: string
  tokens: number
  ahead: number | null
  /** What it waited for, in words. */
  pauses: string[]
  end: string | null
}

declare global {
  interface Window {
    heard: Record<string, Heard>
    stops: Record<string, AbortController>
  }
}

/** Asks, and returns at once: the answer goes on in the page. */
export async function begin(page: Page, chat: string, maxTokens = 4000): Promise<void> {
  await page.evaluate(
    ([chat, maxTokens, drafts]) => {
      const heard: Heard = { text: '', tokens: 0, ahead: null, pauses: [], end: null }
      const stop = new AbortController()
      ;(window.heard ??= {})[chat] = heard
      ;(window.stops ??= {})[chat] = stop
      const options = { maxTokens, temperature: 0, topP: 1, seed: 0, drafts }
      const messages = [{ role: 'user' as const, content: 'the hearth' }]
      const listen = async () => {
        for await (const event of window.hearth.generate(chat, messages, options, stop.signal)) {
          if (event.type === 'queued') heard.ahead = event.ahead
          if (event.type === 'token') {
            heard.text += event.text
            heard.tokens++
          }
          if (event.type === 'paused') heard.pauses.push(event.message)
          if (event.type === 'done') heard.end = event.stats.stop
        }
      }
      listen().catch((error: Error & { code: string }) => (heard.end = `${error.code}: ${error.message}`))
    },
    [chat, maxTokens, drafts] as const,
  )
}

export const heard = (page: Page, chat: string): Promise<Heard> =>
  page.evaluate((id) => window.heard[id]!, chat)
export const stop = (page: Page, chat: string): Promise<void> =>
  page.evaluate((id) => window.stops[id]!.abort(), chat)

export async function inTheMiddle(page: Page, chat: string, maxTokens?: number): Promise<void> {
  await begin(page, chat, maxTokens)
  await expect.poll(async () => (await heard(page, chat)).tokens, { timeout: 15_000 }).toBeGreaterThan(20)
}

export const endOf = async (page: Page, chat: string, timeout: number): Promise<string> => {
  await expect.poll(async () => (await heard(page, chat)).end, { timeout }).not.toBeNull()
  return (await heard(page, chat)).end!
}

/** Forty tokens, of which every ring says the same. */
export async function short(page: Page, chat: string): Promise<string> {
  await begin(page, chat, 40)
  expect(await endOf(page, chat, 20_000)).toBe('length')
  return (await heard(page, chat)).text
}

export async function ready(...pages: Page[]): Promise<void> {
  for (const page of pages)
    await expect(page.getByTestId('readiness')).toHaveAttribute('data-phase', 'ready', { timeout: 40_000 })
}

export async function readinessBecomes(page: Page, phase: string, timeout: number): Promise<string> {
  await expect(page.getByTestId('readiness')).toHaveAttribute('data-phase', phase, { timeout })
  const { readiness } = await stateOf(page)
  return 'message' in readiness ? readiness.message : ''
}

export const stateOf = (page: Page): Promise<ClusterState> => page.evaluate(() => window.hearth.state())
