/**
 * Three devices in trouble: tabs that go, servers that stop, models that change, devices that cannot be reached.
 */
import { expect, test, type Page } from '@playwright/test'
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

test('a device that opens the link is in everybody’s picture within two seconds', async () => {
  const guest = await room.cluster.join('dora', { measures: true })
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
  const seen = Promise.all(room.cluster.pages.map(seenAtMs))
  const address = new URL(room.cluster.joinLink)
  address.searchParams.set('name', 'emil')
  const openedAtMs = Date.now()
  await guest.goto(address.href)
  const tookMs = Math.max(...(await seen)) - openedAtMs
  test.info().annotations.push({ type: 'measured', description: `${tookMs} ms` })
  // Two seconds is what people are promised; a machine that runs other things as well gets more.
  expect(tookMs).toBeLessThan(process.env['CI'] ? 5000 : 2000)
  await room.cluster.dismiss(guest)
})

test('when the next device of the ring reloads, the answer goes on when it is back', async () => {
  const { head, follower, third } = await room.places()
  const served = await room.cluster.servedBytes()
  await begin(third, 'undisturbed', 1000)
  expect(await endOf(third, 'undisturbed', 20_000)).toBe('length')
  await inTheMiddle(third, 'reload-follower', 1000)
  await follower.reload()
  expect(await endOf(third, 'reload-follower', 30_000)).toBe('length')
  const { text, pauses } = await heard(third, 'reload-follower')
  expect(text).toBe((await heard(third, 'undisturbed')).text)
  expect(pauses.length).toBeGreaterThan(0)
  await ready(head, follower, third)
  expect(await short(third, 'after-follower')).toBe(room.expected)
  expect(await room.cluster.servedBytes()).toEqual(served)
})

test('when the device that asked reloads, nobody goes on answering it', async () => {
  const { head } = await room.places()
  // Outside the ring, so that the ring itself has no reason to stop.
  const guest = await room.cluster.join('dora')
  await ready(guest)
  await inTheMiddle(guest, 'reload-asker')
  await guest.reload()
  await begin(head, 'after-asker', 40)
  expect(await endOf(head, 'after-asker', 5000)).toBe('length')
  expect((await heard(head, 'after-asker')).text).toBe(room.expected)
  await room.cluster.dismiss(guest)
})

test('an answer goes on while the server is away', async () => {
  const { third } = await room.places()
  await inTheMiddle(third, 'no-server')
  await room.cluster.stopServer()
  await expect(third.getByTestId('offline')).toBeVisible()
  const { tokens } = await heard(third, 'no-server')
  await expect.poll(async () => (await heard(third, 'no-server')).tokens).toBeGreaterThan(tokens + 100)
  await room.cluster.startServer()
  await expect(third.getByTestId('offline')).toHaveCount(0, { timeout: 20_000 })
  await stop(third, 'no-server')
  expect(await endOf(third, 'no-server', 5000)).toBe('aborted')
  await ready(...room.cluster.pages)
})

test('another model chosen in the middle of an answer ends it in words', async () => {
  const { third } = await room.places()
  await inTheMiddle(third, 'other-model')
  await room.cluster.choose('demo')
  expect(await endOf(third, 'other-model', 10_000)).toMatch(/^device-left: .*shared out anew/)
  for (const page of room.cluster.pages) expect((await stateOf(page)).problem).toBeNull()
})

test('devices that WebRTC does not reach are planned without, and know why', async () => {
  const without = await room.cluster.join('eve', {
    prepare: (context) => context.addInitScript(() => Reflect.deleteProperty(window, 'RTCPeerConnection')),
  })
  const blocked = await room.cluster.join('frank', {
    args: ['--webrtc-ip-handling-policy=disable_non_proxied_udp'],
  })
  for (const guest of [without, blocked]) {
    await guest.waitForFunction(() => (window.hearth?.state().abilities ?? null) !== null)
  }
  await room.alice.evaluate((source) => window.hearth.choose(source, { split: 'even' }), endless)
  await room.alice.waitForFunction(() => window.hearth.state().room?.numbered?.plan.windows.length === 5)
  await room.alice.waitForFunction(
    () => {
      const { room, readiness } = window.hearth.state()
      return readiness.phase === 'ready' && room?.numbered?.plan.windows.length === 3
    },
    undefined,
    { timeout: 30_000 },
  )
  expect(await short(room.alice, 'without-the-unreachable')).toBe(room.expected)
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
  expect(await short(without, 'alone-in-its-room')).toBe(room.expected)
  for (const guest of [without, blocked]) await room.cluster.dismiss(guest)
})

test('when the head’s tab is closed, the others say who is missing and go on without it, and so does the answer', async () => {
  const { head, third, follower } = await room.places()
  await inTheMiddle(third, 'head-closed')
  await head.close()
  const { tokens } = await heard(third, 'head-closed')
  await expect(follower.getByTestId('readiness')).toHaveAttribute('data-phase', 'waiting', {
    timeout: 10_000,
  })
  await ready(third, follower)
  for (const page of [third, follower]) await expect(page.getByTestId('ring-device')).toHaveCount(2)
  await expect.poll(async () => (await heard(third, 'head-closed')).tokens).toBeGreaterThan(tokens + 20)
  await stop(third, 'head-closed')
  expect(await short(third, 'after-the-head')).toBe(room.expected)
})
