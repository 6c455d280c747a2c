/**
 * What a room bears: nine questions at once, a very long one, too little memory, models that come and go, messages from
 * strangers.
 */
import { expect, test, type Page } from '@playwright/test'
import { protocolVersion } from '@hearth/engine/protocol'
import { deriveRoomKeys, secretOf, type JoinSecret } from '../../packages/engine/src/page/join-secret.ts'
import {
  begin,
  endOf,
  endless,
  heard,
  inTheMiddle,
  readinessBecomes,
  ready,
  shareEndlessRoom,
  short,
  stateOf,
  stop,
  type EndlessRoom,
} from './endless-room.ts'

let room: EndlessRoom
shareEndlessRoom((opened) => (room = opened))

test('eight are answered at once; one that waits can be stopped at once, and so can the others', async () => {
  const { head, follower, third } = await room.places()
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
    expect((await heard(page, chat)).text.startsWith(room.expected)).toBe(true)
  }
})

test('a question too long to travel is refused with its size, on every device', async () => {
  for (const page of room.cluster.pages) {
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

test('models that come and go leave no memory behind', async () => {
  /** By all together: a plan may give a layer to another device than the last one did. */
  const heldBytes: number[] = []
  for (let i = 0; i < 3; i++) {
    await room.cluster.choose(endless)
    expect(await short(room.bob, `coming-and-going-${i}`)).toBe(room.expected)
    await room.cluster.choose('demo')
    // A device reports its memory a few times a second.
    await room.bob.waitForTimeout(500)
    const states = await Promise.all(room.cluster.pages.map(stateOf))
    heldBytes.push(states.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0))
  }
  for (const bytes of heldBytes) expect(bytes).toBe(heldBytes[0])
})

test('too little memory ends an answer, is said with the numbers, and more memory makes a plan again', async () => {
  await room.cluster.choose(endless)
  await inTheMiddle(room.bob, 'no-memory')
  const budgetBytes = (await stateOf(room.charlie)).memoryBudgetBytes
  await room.charlie.evaluate(() => window.hearth.setMemoryBudget(1_000_000))
  expect(await readinessBecomes(room.alice, 'no-plan', 15_000)).toMatch(
    /takes at least [\d.]+ MB and it offers 1\.0 MB/,
  )
  expect(await endOf(room.bob, 'no-memory', 5000)).toMatch(/^device-left: .*shared out anew/)
  expect((await heard(room.bob, 'no-memory')).text.startsWith(room.expected)).toBe(true)
  await room.charlie.evaluate((bytes) => window.hearth.setMemoryBudget(bytes), budgetBytes)
  await ready(...room.cluster.pages)
})

declare global {
  interface Window {
    /** In a forger's page: the channels on which it has lied. */
    liedOn: Set<RTCDataChannel>
  }
}

test('strangers’ messages disturb nobody: forged, out of place, not to be decoded', async () => {
  await room.cluster.choose(endless)
  const { third } = await room.places()
  const forger = await room.cluster.join('mallory', {
    prepare: (context) =>
      context.addInitScript(() => {
        const { send } = RTCDataChannel.prototype
        window.liedOn = new Set()
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
          window.liedOn.add(this)
        }
      }),
  })
  await begin(third, 'while-forged')
  await forger.waitForFunction(() => window.hearth !== undefined)
  const { device } = await stateOf(forger)
  const linked = (page: Page) =>
    page.waitForFunction((id) => window.hearth.state().links[id] === 'open', device)
  await Promise.all(room.cluster.pages.map(linked))
  await forger.waitForFunction((devices) => window.liedOn.size >= devices, room.cluster.pages.length)
  await third.waitForTimeout(500)
  const { text, end } = await heard(third, 'while-forged')
  expect(end).toBeNull()
  expect(text.startsWith(room.expected)).toBe(true)
  expect(text).not.toContain('forged')
  for (const page of room.cluster.pages) expect((await stateOf(page)).connection.phase).toBe('online')
  await stop(third, 'while-forged')
  await room.cluster.dismiss(forger)
})

test('a device of the room that lies to the server changes what a person can change back', async () => {
  const { room: roomId } = await deriveRoomKeys(secretOf(room.cluster.joinLink) as JoinSecret)
  const stranger = await room.alice.context().newPage()
  await stranger.goto(`${room.cluster.url}/health`)
  const truth = (await stateOf(room.alice)).room!
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
    async ({ version, roomId, lies }) => {
      const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws`)
      const closed = new Promise<number>((resolve) => {
        socket.addEventListener('close', ({ code }) => resolve(code))
      })
      await new Promise((resolve) => socket.addEventListener('open', resolve))
      const join = {
        type: 'join',
        version,
        room: roomId,
        device: 'mallory-device',
        name: 'mallory',
        mayOpen: false,
        door: { keyHash: 'A'.repeat(43), isOpen: false },
      }
      for (const message of [{ ...join, status: { phase: 'idle' } }, ...lies])
        socket.send(JSON.stringify(message))
      await new Promise((resolve) => setTimeout(resolve, 1000))
      for (const text of ['{', '[]', '{"type":"choose"}']) socket.send(text)
      return closed
    },
    { version: protocolVersion, roomId, lies },
  )
  await stranger.close()
  expect(closeCode).toBe(1008)
  expect(await readinessBecomes(room.alice, 'failed', 20_000)).toContain('was told that endless has 1 layers')
  await room.cluster.choose(endless)
  expect(await short(room.bob, 'after-the-lies')).toBe(room.expected)
})
