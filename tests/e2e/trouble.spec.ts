/**
 * Three devices in trouble: tabs that go, servers that stop, devices that cannot be reached, messages from strangers.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test, type Page } from '@playwright/test'
import { protocolVersion } from '@hearth/engine/protocol'
import { tinyModel } from '@hearth/engine/testing'
import type { ClusterState } from '@hearth/engine'
import { deriveRoomKeys, secretOf, type JoinSecret } from '../../packages/engine/src/page/join-secret.ts'
import { startCluster, type RunningCluster } from '../cluster/run-cluster.ts'

// Starting browsers takes a busy machine its time.
test.describe.configure({ timeout: 120_000 })

/** A model that never ends an answer by itself: there is always a middle in which something can happen. */
const endless = '/models/endless.gguf'
let folder: string
let cluster: RunningCluster
let alice: Page
let bob: Page
let charlie: Page
/** What every ring must say: the answer before any trouble. */
let expected: string
const pageErrors: string[] = []

test.beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'hearth-trouble-'))
  const model = path.join(folder, 'endless.gguf')
  await writeFile(model, tinyModel({ nLayers: 6, contextLength: 4096, seed: 3 }))
  cluster = await startCluster({
    devices: 3,
    model,
    split: 'even',
    dtype: 'f16',
    threads: 1,
    log: (line) => void pageErrors.push(line),
  })
  ;[alice, bob, charlie] = cluster.pages as [Page, Page, Page]
  await cluster.choose(endless)
  expected = await short(alice, 'judge-of-all')
  pageErrors.length = 0
})
test.afterAll(async () => {
  await cluster?.close()
  await rm(folder, { recursive: true, force: true })
})
test.afterEach(() => {
  expect(pageErrors.splice(0), 'nothing is thrown past the pages').toEqual([])
})

type Heard = { text: string; tokens: number; ahead: number | null; end: string | null }

declare global {
  interface Window {
    heard: Record<string, Heard>
    stops: Record<string, AbortController>
  }
}

/** Asks, and returns at once: the answer goes on in the page. */
async function begin(page: Page, chat: string, maxTokens = 4000): Promise<void> {
  await page.evaluate(
    ([chat, maxTokens]) => {
      const heard: Heard = { text: '', tokens: 0, ahead: null, end: null }
      const stop = new AbortController()
      ;(window.heard ??= {})[chat] = heard
      ;(window.stops ??= {})[chat] = stop
      const options = { maxTokens, temperature: 0, topP: 1, seed: 0 }
      const messages = [{ role: 'user' as const, content: 'the hearth' }]
      const listen = async () => {
        for await (const event of window.hearth.generate(chat, messages, options, stop.signal)) {
          if (event.type === 'queued') heard.ahead = event.ahead
          if (event.type === 'token') {
            heard.text += event.text
            heard.tokens++
          }
          if (event.type === 'done') heard.end = event.stats.stop
        }
      }
      listen().catch((error: Error & { code: string }) => (heard.end = `${error.code}: ${error.message}`))
    },
    [chat, maxTokens] as const,
  )
}

const heard = (page: Page, chat: string): Promise<Heard> => page.evaluate((id) => window.heard[id]!, chat)
const stop = (page: Page, chat: string): Promise<void> =>
  page.evaluate((id) => window.stops[id]!.abort(), chat)

async function inTheMiddle(page: Page, chat: string): Promise<void> {
  await begin(page, chat)
  await expect.poll(async () => (await heard(page, chat)).tokens, { timeout: 15_000 }).toBeGreaterThan(20)
}

const endOf = async (page: Page, chat: string, timeout: number): Promise<string> => {
  await expect.poll(async () => (await heard(page, chat)).end, { timeout }).not.toBeNull()
  return (await heard(page, chat)).end!
}

/** Who holds what part: the head, its follower in the ring, and the third. */
async function places(): Promise<{ head: Page; follower: Page; third: Page }> {
  const states = await Promise.all(cluster.pages.map((_, i) => cluster.state(i)))
  const { plan } = states[0]!.room!.numbered!
  const others = plan.windows.map(({ device }) => device).filter((device) => device !== plan.head)
  const pageOf = (device: string | undefined) =>
    cluster.pages[states.findIndex((state) => state.device === device)]!
  return { head: pageOf(plan.head), follower: pageOf(others[0]), third: pageOf(others[1]) }
}

async function ready(...pages: Page[]): Promise<void> {
  for (const page of pages)
    await expect(page.getByTestId('readiness')).toHaveAttribute('data-phase', 'ready', { timeout: 40_000 })
}

async function readinessBecomes(page: Page, phase: string, timeout: number): Promise<string> {
  await expect(page.getByTestId('readiness')).toHaveAttribute('data-phase', phase, { timeout })
  const { readiness } = await stateOf(page)
  return 'message' in readiness ? readiness.message : ''
}

const stateOf = (page: Page): Promise<ClusterState> => page.evaluate(() => window.hearth.state())

async function short(page: Page, chat: string): Promise<string> {
  await begin(page, chat, 40)
  expect(await endOf(page, chat, 20_000)).toBe('length')
  return (await heard(page, chat)).text
}

test('a device that opens the link is in everybody’s picture within two seconds', async () => {
  const guest = await cluster.join('dora')
  const seenAtMs = (page: Page) =>
    page.evaluate(
      () =>
        new Promise<number>((resolve) => {
          const look = () =>
            window.hearth.state().room?.devices.some(({ name }) => name === 'emil')
              ? resolve(Date.now())
              : setTimeout(look, 20)
          look()
        }),
    )
  const seen = Promise.all(cluster.pages.map(seenAtMs))
  const address = new URL(cluster.joinLink)
  address.searchParams.set('name', 'emil')
  const openedAtMs = Date.now()
  await guest.goto(address.href)
  const tookMs = Math.max(...(await seen)) - openedAtMs
  test.info().annotations.push({ type: 'measured', description: `${tookMs} ms` })
  // Two seconds is what people are promised; a machine that runs other things as well gets more.
  expect(tookMs).toBeLessThan(process.env['CI'] ? 5000 : 2000)
  await guest.context().close()
})

test('when the next device of the ring reloads, the answer fails in words and the next one is right', async () => {
  const { head, follower, third } = await places()
  const served = await cluster.servedBytes()
  await inTheMiddle(third, 'reload-follower')
  await follower.reload()
  expect(await endOf(third, 'reload-follower', 15_000)).toMatch(/^device-left: \w+ is gone/)
  await ready(head, follower, third)
  expect(await short(third, 'after-follower')).toBe(expected)
  expect(await cluster.servedBytes()).toEqual(served)
})

test('when the device that asked reloads, nobody goes on answering it', async () => {
  const { head } = await places()
  // Outside the ring, so that the ring itself has no reason to stop.
  const guest = await cluster.join('dora')
  await ready(guest)
  await inTheMiddle(guest, 'reload-asker')
  await guest.reload()
  await begin(head, 'after-asker', 40)
  expect(await endOf(head, 'after-asker', 5000)).toBe('length')
  expect((await heard(head, 'after-asker')).text).toBe(expected)
  await guest.context().close()
})

test('an answer goes on while the server is away', async () => {
  const { third } = await places()
  await inTheMiddle(third, 'no-server')
  await cluster.stopServer()
  await expect(third.getByTestId('offline')).toBeVisible()
  const { tokens } = await heard(third, 'no-server')
  await expect.poll(async () => (await heard(third, 'no-server')).tokens).toBeGreaterThan(tokens + 100)
  await cluster.startServer()
  await expect(third.getByTestId('offline')).toHaveCount(0, { timeout: 20_000 })
  await stop(third, 'no-server')
  expect(await endOf(third, 'no-server', 5000)).toBe('aborted')
  await ready(...cluster.pages)
})

test('eight are answered at once; one that waits can be stopped at once, and so can the others', async () => {
  const { head, follower, third } = await places()
  const asked = [head, follower].flatMap((page) =>
    ['one', 'two', 'three', 'four'].map((name) => ({ page, chat: `question-${name}` })),
  )
  for (const { page, chat } of asked) await begin(page, chat)
  for (const { page, chat } of asked)
    await expect.poll(async () => (await heard(page, chat)).tokens, { timeout: 20_000 }).toBeGreaterThan(20)
  await begin(third, 'ninth-question')
  await expect.poll(async () => (await heard(third, 'ninth-question')).ahead).toBe(1)
  await stop(third, 'ninth-question')
  expect(await endOf(third, 'ninth-question', 2000)).toBe('aborted')
  for (const { page, chat } of asked) {
    expect((await heard(page, chat)).end).toBeNull()
    await stop(page, chat)
    expect(await endOf(page, chat, 5000)).toBe('aborted')
    expect((await heard(page, chat)).text.startsWith(expected)).toBe(true)
  }
})

test('a question too long to travel is refused with its size, on every device', async () => {
  for (const page of cluster.pages) {
    const refusal = await page.evaluate(async () => {
      const messages = [{ role: 'user' as const, content: 'x'.repeat(300_000) }]
      const options = { maxTokens: 5, temperature: 0, topP: 1, seed: 0 }
      try {
        for await (const event of window.hearth.generate('too-long-a-chat', messages, options)) void event
        return 'answered'
      } catch (error) {
        return (error as Error).message
      }
    })
    expect(refusal).toMatch(/^This conversation takes 300\d{3} bytes; at most 262144 /)
  }
})

test('another model chosen in the middle of an answer ends it in words', async () => {
  const { third } = await places()
  await inTheMiddle(third, 'other-model')
  await cluster.choose('demo')
  expect(await endOf(third, 'other-model', 10_000)).toMatch(/^device-left: .*shared out anew/)
  for (const page of cluster.pages) expect((await stateOf(page)).problem).toBeNull()
})

test('models that come and go leave no memory behind', async () => {
  /** By all together: a plan may give a layer to another device than the last one did. */
  const heldBytes: number[] = []
  for (let i = 0; i < 5; i++) {
    await cluster.choose(endless)
    expect(await short(bob, `coming-and-going-${i}`)).toBe(expected)
    await cluster.choose('demo')
    // A device reports its memory a few times a second.
    await bob.waitForTimeout(500)
    const states = await Promise.all(cluster.pages.map(stateOf))
    heldBytes.push(states.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0))
  }
  for (const bytes of heldBytes) expect(bytes).toBe(heldBytes[0])
})

test('too little memory is said with the numbers, and more memory makes a plan again', async () => {
  const budgetBytes = (await stateOf(charlie)).memoryBudgetBytes
  await charlie.evaluate(() => window.hearth.setMemoryBudget(1_000_000))
  expect(await readinessBecomes(alice, 'no-plan', 15_000)).toMatch(
    /takes at least [\d.]+ MB and it offers 1\.0 MB/,
  )
  await charlie.evaluate((bytes) => window.hearth.setMemoryBudget(bytes), budgetBytes)
  await ready(...cluster.pages)
})

test('strangers’ messages disturb nobody: forged, out of place, not to be decoded', async () => {
  await cluster.choose(endless)
  const { third } = await places()
  const forger = await cluster.join('mallory', {
    prepare: (context) =>
      context.addInitScript(() => {
        const { send } = RTCDataChannel.prototype
        const forged = [
          'not JSON',
          JSON.stringify({ type: 'token', chat: 'while-forged', text: ' forged ' }),
          JSON.stringify({ type: 'done', chat: 'while-forged' }),
          JSON.stringify({ type: 'chat-failed', chat: 'while-forged', code: 'bug', message: 'forged' }),
          JSON.stringify({ type: 'abort', chat: 'while-forged' }),
          ...Array.from({ length: 40 }, (_, session) =>
            JSON.stringify({ type: 'session-failed', session, code: 'bug', message: 'forged' }),
          ),
          ...Array.from({ length: 40 }, (_, session) => JSON.stringify({ type: 'release', session })),
        ]
        RTCDataChannel.prototype.send = function (this: RTCDataChannel, data: unknown) {
          const write = (text: unknown) => Reflect.apply(send, this, [text])
          if (typeof data !== 'string' || !data.includes('"pong"')) return write(data)
          forged.forEach(write)
          // Would make a hop of minus five hundred years, which the server takes for nonsense.
          write(JSON.stringify({ type: 'pong', sentAtMs: 1e15 }))
        }
      }),
  })
  await begin(third, 'while-forged')
  await forger.waitForFunction(() => window.hearth !== undefined)
  const { device } = await stateOf(forger)
  const linked = (page: Page) =>
    page.waitForFunction((id) => window.hearth.state().links[id] === 'open', device)
  await Promise.all(cluster.pages.map(linked))
  await third.waitForTimeout(4000)
  const { text, end } = await heard(third, 'while-forged')
  expect(end).toBeNull()
  expect(text.startsWith(expected)).toBe(true)
  expect(text).not.toContain('forged')
  for (const page of cluster.pages) expect((await stateOf(page)).connection.phase).toBe('online')
  await stop(third, 'while-forged')
  await forger.context().close()
})

test('a device of the room that lies to the server changes what a person can change back', async () => {
  const { room } = await deriveRoomKeys(secretOf(cluster.joinLink) as JoinSecret)
  const stranger = await alice.context().newPage()
  await stranger.goto(`${cluster.url}/health`)
  const truth = (await stateOf(alice)).room!
  const lies = [
    ...truth.devices.flatMap(({ device }) => [
      { type: 'signal', to: device, sealed: 'AAAA' },
      { type: 'unreachable', device },
    ]),
    { type: 'status', status: { phase: 'failed', plan: 7, code: 'bug', message: 'forged' } },
    {
      type: 'choose',
      choice: {
        ...truth.choice!,
        profile: { ...truth.choice!.profile, nLayers: 1, layerBytes: [{ F32: 1 }] },
      },
    },
  ]
  const closeCode = await stranger.evaluate(
    async ({ version, room, lies }) => {
      const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws`)
      const closed = new Promise<number>((resolve) => {
        socket.addEventListener('close', ({ code }) => resolve(code))
      })
      await new Promise((resolve) => socket.addEventListener('open', resolve))
      const join = {
        type: 'join',
        version,
        room,
        device: 'mallory-device',
        name: 'mallory',
        mayOpen: false,
      }
      for (const message of [{ ...join, status: { phase: 'idle' } }, ...lies])
        socket.send(JSON.stringify(message))
      await new Promise((resolve) => setTimeout(resolve, 1000))
      for (const text of ['{', '[]', '{"type":"choose"}']) socket.send(text)
      return closed
    },
    { version: protocolVersion, room, lies },
  )
  await stranger.close()
  expect(closeCode).toBe(1008)
  expect(await readinessBecomes(alice, 'failed', 20_000)).toContain('was told that endless has 1 layers')
  await cluster.choose(endless)
  expect(await short(bob, 'after-the-lies')).toBe(expected)
})

test('devices that WebRTC does not reach are planned without, and know why', async () => {
  const without = await cluster.join('eve', {
    prepare: (context) => context.addInitScript(() => Reflect.deleteProperty(window, 'RTCPeerConnection')),
  })
  const blocked = await cluster.join('frank', {
    args: ['--webrtc-ip-handling-policy=disable_non_proxied_udp'],
  })
  for (const guest of [without, blocked]) {
    await guest.waitForFunction(() => (window.hearth?.state().abilities ?? null) !== null)
  }
  await alice.evaluate((source) => window.hearth.choose(source, { split: 'even' }), endless)
  await alice.waitForFunction(() => window.hearth.state().room?.numbered?.plan.windows.length === 5)
  await alice.waitForFunction(
    () => {
      const { room, readiness } = window.hearth.state()
      return readiness.phase === 'ready' && room?.numbered?.plan.windows.length === 3
    },
    undefined,
    { timeout: 30_000 },
  )
  expect(await short(alice, 'without-the-unreachable')).toBe(expected)
  for (const guest of [without, blocked]) {
    expect(await readinessBecomes(guest, 'failed', 20_000)).toMatch(
      /not \w+, which writes the answers.*WebRTC/,
    )
  }
  expect((await stateOf(without)).missing.map(({ feature }) => feature)).toContain('webrtc')
  // Alone it works.
  await without.evaluate(() => window.hearth.newRoom())
  await without.waitForFunction(() => window.hearth.state().room?.devices.length === 1)
  await without.evaluate((source) => window.hearth.choose(source), endless)
  await ready(without)
  expect(await short(without, 'alone-in-its-room')).toBe(expected)
  for (const guest of [without, blocked]) await guest.context().close()
})

test('when the head’s tab is closed, who asked is told, and the others go on', async () => {
  const { head, third, follower } = await places()
  await inTheMiddle(third, 'head-closed')
  await head.close()
  expect(await endOf(third, 'head-closed', 20_000)).toMatch(/^device-left: /)
  await ready(third, follower)
  expect(await short(third, 'after-the-head')).toBe(expected)
})
