import type { DeviceId, HopTimes, Plan } from '@hearth/halda'
import { afterEach, describe, expect, it, vi } from 'vitest'
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
      tellBusy: (_, ms) => other().receiveBusy(me, ms),
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

const hop = { rowMs: 1, rowP90Ms: 1, chunkMs: 2, chunkP90Ms: 2, lateShare: 0 }
const plan: Plan = {
  head: alice,
  rounds: 1,
  windows: [alice, bob].map((device, i) => ({ device, firstLayer: i, layers: 1, gpuLayers: 0 })),
  predictedTpotMs: 1,
}
/** Alice is head of a ring with bob; probes say 1 ms from either to the other. */
function ringOfTwo(): RoomView {
  const devices = [view(alice), view(bob)].map((each) => ({
    ...each,
    profile: { ...each.profile!, hops: { [each.device === alice ? bob : alice]: hop } },
  }))
  return { ...roomOf(...devices), numbered: { number: 1, plan } }
}

const soon = { timeout: 5000, interval: 20 }
const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('hop times', () => {
  afterEach(() => void vi.useRealTimers())

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

  it('are longer in a ring that computes, for everybody, as the median of 16 tokens or more says', () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const pair = createPair()
    pair.follow(ringOfTwo())
    pair.connect()
    const tokens = (ways: readonly number[]) => ways.forEach((ms) => pair.alice.noteWay(plan, ms))
    tokens(Array<number>(15).fill(5))
    expect(pair.alice.busyMs()).toBe(0)
    tokens([900])
    expect([pair.alice.busyMs(), pair.bob.busyMs()]).toEqual([1.5, 1.5])
    vi.advanceTimersByTime(4999)
    tokens([...Array<number>(18).fill(5.2), ...Array<number>(13).fill(0)])
    expect(pair.alice.busyMs()).toBe(1.5)
    vi.advanceTimersByTime(1)
    tokens([0])
    expect(pair.alice.busyMs()).toBe(1.5)
    vi.advanceTimersByTime(5000)
    tokens(Array<number>(15).fill(1))
    expect(pair.alice.busyMs()).toBe(1.5)
    tokens([1])
    expect([pair.alice.busyMs(), pair.bob.busyMs()]).toEqual([0, 0])
    vi.advanceTimersByTime(5000)
    tokens(Array<number>(16).fill(4000))
    expect([pair.alice.busyMs(), pair.bob.busyMs()]).toEqual([10, 10])
  })

  it('are not longer because somebody says so who is not the head, or where no probe was', () => {
    const pair = createPair()
    pair.follow(ringOfTwo())
    pair.connect()
    pair.alice.receiveBusy(bob, 3)
    expect(pair.alice.busyMs()).toBe(0)
    pair.follow({ ...roomOf(view(alice), view(bob)), numbered: { number: 1, plan } })
    for (let token = 0; token < 16; token++) pair.alice.noteWay(plan, 50)
    expect(pair.alice.busyMs()).toBe(0)
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
