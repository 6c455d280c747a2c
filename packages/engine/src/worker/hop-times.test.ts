import type { DeviceId, HopTimes } from '@hearth/halda'
import { describe, expect, it } from 'vitest'
import type { DeviceView, RoomView } from '../protocol.ts'
import { createMemoryLinks } from '../ring/memory-link.ts'
import { createProbedLink } from '../ring/probed-link.ts'
import { createHopTimer } from './hop-times.ts'

const [alice, bob] = ['alice-device', 'bob-device'] as [DeviceId, DeviceId]
const oneWayMs = 4

function view(device: DeviceId, changes: Partial<DeviceView> = {}): DeviceView {
  const profile = {
    device,
    memoryBytes: 1e9,
    weightBytesPerSec: { Q8_0: 1e9 },
    diskReadBytesPerSec: 1e9,
    hopMs: {},
    defaultHopMs: 5,
  }
  return { device, name: device, presence: 'here', profile, status: { phase: 'idle' }, ...changes }
}
const roomOf = (...devices: DeviceView[]): RoomView => ({
  devices,
  choice: null,
  numbered: null,
  noPlan: null,
  planning: false,
})

/** Two devices with a hop of 4 ms between them; each hears what the other tells. */
function createPair() {
  const delay = () => new Promise<void>((resolve) => setTimeout(resolve, oneWayMs))
  const [toBob, toAlice] = createMemoryLinks(delay).map(createProbedLink)
  const told: [DeviceId, HopTimes][] = []
  const timerOf = (me: DeviceId, other: () => ReturnType<typeof createHopTimer>) =>
    createHopTimer({
      me,
      dtype: 'f16',
      tell(peer, times) {
        told.push([me, times])
        expect(peer).not.toBe(me)
        other().receive(me, times)
      },
      isBusy: () => false,
      onchange: () => {},
    })
  const timers: Record<DeviceId, ReturnType<typeof createHopTimer>> = {
    [alice]: timerOf(alice, () => timers[bob]!),
    [bob]: timerOf(bob, () => timers[alice]!),
  }
  const follow = (room: RoomView) => {
    for (const timer of Object.values(timers)) timer.follow(room)
  }
  return {
    alice: timers[alice]!,
    bob: timers[bob]!,
    told,
    follow,
    toBob: toBob!,
    connect() {
      timers[alice]!.add(bob, toBob!)
      timers[bob]!.add(alice, toAlice!)
    },
  }
}

const soon = { timeout: 5000, interval: 20 }
const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('hop times', () => {
  it('are measured by one end of a pair and known at both', async () => {
    const pair = createPair()
    expect(pair.alice.assumedMs()).toBe(5)
    pair.follow(roomOf(view(alice), view(bob)))
    pair.connect()
    await expect.poll(() => pair.alice.times()[bob], soon).toBeDefined()
    const times = pair.alice.times()[bob]!
    expect(times.rowMs).toBeGreaterThan(oneWayMs - 0.5)
    expect(times.rowMs).toBeLessThan(4 * oneWayMs)
    expect(times.rowP90Ms).toBeGreaterThanOrEqual(times.rowMs)
    expect(times.chunkP90Ms).toBeGreaterThanOrEqual(times.chunkMs)
    expect(times.lateShare).toBe(0)
    expect(pair.bob.times()).toEqual({ [alice]: times })
    expect(pair.bob.assumedMs()).toBe(times.rowMs)
    expect(pair.told.map(([by]) => by)).toEqual([alice])
  })

  it('wait until both have measured themselves and hold their layers', async () => {
    const pair = createPair()
    pair.connect()
    await after(150)
    pair.follow(roomOf(view(alice), view(bob, { profile: null })))
    await after(400)
    expect(pair.told).toEqual([])
    const status = { phase: 'loading', plan: 1, loadedBytes: 0, totalBytes: 9 } as const
    pair.follow(roomOf(view(alice, { status }), view(bob)))
    await after(400)
    expect(pair.told).toEqual([])
    pair.follow(roomOf(view(alice), view(bob)))
    await expect.poll(() => pair.told.length, soon).toBe(1)
  })

  it('wait while frames of the ring pass', async () => {
    const pair = createPair()
    pair.follow(roomOf(view(alice), view(bob)))
    const answering = setInterval(() => void pair.toBob.send(new Uint8Array(20)), 50)
    await after(60)
    pair.connect()
    await after(700)
    expect(pair.told).toEqual([])
    clearInterval(answering)
    await expect.poll(() => pair.told.length, soon).toBe(1)
  })

  it('are measured by either end when a person asks', async () => {
    const pair = createPair()
    pair.follow(roomOf(view(alice), view(bob)))
    pair.connect()
    await expect.poll(() => pair.told.length, soon).toBe(1)
    pair.bob.measure()
    await expect.poll(() => pair.told.at(-1)![0], soon).toBe(bob)
    expect(pair.alice.times()[bob]).toEqual(pair.told.at(-1)![1])
  })
})
