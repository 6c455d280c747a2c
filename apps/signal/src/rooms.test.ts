import type { DeviceId } from '@hearth/halda'
import {
  maxMessageChars,
  parseFromServer,
  protocolVersion,
  type FromDevice,
  type QuestionId,
  type RoomView,
} from '@hearth/engine/protocol'
import { describe, expect, it } from 'vitest'
import { isSound } from './planning.ts'
import { createRoom, type ConnectionId, type Room } from './room-state.ts'
import { step, wakeAtMs } from './room.ts'
import { attic, choiceOf, createHouse, everybody, id, keyHashOf, kitchen, profileOf } from './test-house.ts'

describe('the door', () => {
  it('refuses a link that leads to no room, in words', () => {
    const house = createHouse()
    const alice = house.join('alice', { mayOpen: false })
    expect(house.refusal(alice)).toMatchObject({ code: 'no-room' })
    expect(house.refusal(alice)).toHaveProperty('message', expect.stringContaining('fresh link'))
    expect(house.closeCode(alice)).toBe(1008)
    expect(house.count()).toEqual({ rooms: 0, devices: 0 })
  })

  it('lets in whoever has the link of a room that is open', () => {
    const house = createHouse()
    house.join('alice')
    const bob = house.join('bob', { mayOpen: false })
    expect(house.refusal(bob)).toBeNull()
    expect(house.view(bob).devices).toHaveLength(2)
  })

  it('keeps rooms apart', () => {
    const house = createHouse()
    const alice = house.join('alice')
    const bob = house.join('bob', { room: attic })
    house.say(bob, { type: 'signal', to: id('alice'), sealed: 'aGk=' })
    house.say(bob, { type: 'choose', choice: choiceOf('demo') })
    house.pass(1000)
    expect(house.view(alice).devices).toHaveLength(1)
    expect(house.view(alice).choice).toBeNull()
    expect(house.signals(alice)).toEqual([])
    expect(house.count()).toEqual({ rooms: 2, devices: 2 })
  })

  it('refuses another version of the protocol, whatever else it says', () => {
    const house = createHouse()
    const old = house.join('alice', { version: 0 })
    expect(house.refusal(old)).toMatchObject({ code: 'version', message: expect.stringContaining('Reload') })
    const future = house.open()
    house.sayText(future, JSON.stringify({ type: 'join', version: protocolVersion + 1, place: 'kitchen' }))
    expect(house.refusal(future)).toMatchObject({ code: 'version' })
    expect(house.closeCode(future)).toBe(1008)
  })

  it('closes a connection that does not say within 15 s which room it wants', () => {
    const house = createHouse()
    const silent = house.open()
    house.pass(14_999)
    expect(house.closeCode(silent)).toBeNull()
    house.pass(1)
    expect(house.closeCode(silent)).toBe(1008)
  })

  it('lets a device leave one room and open another on the same connection', () => {
    const house = createHouse()
    const alice = house.join('alice')
    const bob = house.join('bob')
    house.join('bob', { room: attic }, bob)
    house.pass(100)
    expect(house.view(alice).devices).toHaveLength(1)
    expect(house.view(bob).devices).toHaveLength(1)
    house.say(bob, { type: 'leave' })
    expect(house.count()).toEqual({ rooms: 1, devices: 1 })
    house.join('bob', {}, bob)
    expect(house.view(bob).devices).toHaveLength(2)
  })

  it('keeps the seat of a device that joins its room again on the same connection', () => {
    const house = createHouse()
    const alice = house.join('alice')
    house.join('alice', { name: 'Alice' }, alice)
    expect(house.closeCode(alice)).toBeNull()
    expect(house.view(alice).devices).toMatchObject([{ name: 'Alice', presence: 'here' }])
  })

  it('gives one connection one seat', () => {
    const house = createHouse()
    const alice = house.join('alice')
    for (let i = 0; i < 40; i++) house.join(`alias${i}`, {}, alice)
    expect(house.refusal(alice)).toBeNull()
    expect(house.view(alice).devices).toMatchObject([{ name: 'alias39' }])
  })
})

describe('messages that are none', () => {
  const nonsense: [string, unknown][] = [
    ['not JSON', '{'],
    ['not text', new ArrayBuffer(8)],
    ['no object', 'null'],
    ['an unknown type', '{"type":"reboot"}'],
    ['a field of the wrong type', '{"type":"rename","name":7}'],
    ['an empty name', '{"type":"rename","name":"  "}'],
    ['a status that cannot be', '{"type":"status","status":{"phase":"ready","plan":0}}'],
    [
      'a profile with infinities',
      JSON.stringify({ type: 'profile', profile: { ...profileOf('alice'), memoryBytes: null } }),
    ],
    ['a model with no layers', JSON.stringify({ type: 'choose', choice: choiceOf('empty', 0) })],
    [
      'a model URL of another scheme',
      JSON.stringify({
        type: 'choose',
        choice: { ...choiceOf('demo'), model: { ...choiceOf('demo').model, url: 'javascript:alert(1)' } },
      }),
    ],
    [
      'a join as a name that every table has',
      JSON.stringify({
        type: 'join',
        version: protocolVersion,
        room: kitchen,
        device: 'constructor',
        name: 'x',
        mayOpen: true,
        status: { phase: 'idle' },
      }),
    ],
  ]
  it.each(nonsense)('%s: passed over twice, refused the third time', (_, text) => {
    const house = createHouse()
    const alice = house.join('alice')
    const bob = house.join('bob')
    house.pass(1000)
    const before = house.view(alice)
    house.sayText(bob, text)
    house.sayText(bob, text)
    house.pass(1000)
    expect(house.closeCode(bob)).toBeNull()
    expect(house.view(alice)).toEqual(before)
    house.sayText(bob, text)
    expect(house.refusal(bob)).toMatchObject({ code: 'malformed' })
    expect(house.closeCode(bob)).toBe(1008)
    house.pass(100)
    expect(house.view(alice).devices[1]?.presence).toBe('away')
  })

  it('are all messages but join, before join', () => {
    const house = createHouse()
    house.join('alice')
    const stranger = house.open()
    for (let i = 0; i < 3; i++) house.say(stranger, { type: 'signal', to: id('alice'), sealed: 'aGk=' })
    expect(house.refusal(stranger)).toMatchObject({ code: 'malformed' })
  })
})

describe('floods', () => {
  it('lets a newcomer signal to 31 others at once', () => {
    const house = createHouse()
    const others = Array.from({ length: 31 }, (_, i) => house.join(`device${i}`))
    const late = house.join('late')
    for (let i = 0; i < 31; i++) {
      for (let n = 0; n < 12; n++) {
        house.say(late, { type: 'signal', to: id(`device${i}`), sealed: 'x'.repeat(2000) })
      }
    }
    expect(house.closeCode(late)).toBeNull()
    for (const other of others) expect(house.signals(other)).toHaveLength(12)
  })

  it('hangs up on a device that keeps sending more than 100 messages a second', () => {
    const house = createHouse()
    const alice = house.join('alice')
    const mallory = house.join('mallory')
    for (let i = 0; i < 5000 && house.closeCode(mallory) === null; i++) {
      house.say(mallory, { type: 'signal', to: id('alice'), sealed: 'aGk=' })
      house.pass(5)
    }
    expect(house.refusal(mallory)).toMatchObject({ code: 'malformed' })
    expect(house.signals(alice).length).toBeLessThan(2100)
  })

  it('hangs up on a device that sends little that is large', () => {
    const house = createHouse()
    const alice = house.join('alice')
    const mallory = house.join('mallory')
    for (let i = 0; i < 200 && house.closeCode(mallory) === null; i++) {
      house.say(mallory, { type: 'signal', to: id('alice'), sealed: 'x'.repeat(65_536) })
    }
    expect(house.closeCode(mallory)).toBe(1008)
    expect(house.signals(alice).length).toBeLessThan(65)
  })

  it('shows the others at most 20 views a second of a device that joins again and again', () => {
    const house = createHouse()
    const alice = house.join('alice')
    house.pass(1000)
    const before = house.views(alice).length
    for (let i = 0; i < 100; i++) {
      house.join('mallory')
      house.pass(10)
    }
    expect(house.views(alice).length - before).toBeLessThanOrEqual(21)
  })

  it('takes no part so large that a full room could no longer be told', () => {
    const house = createHouse()
    const wide = Object.fromEntries(
      Array.from({ length: 64 }, (_, i) => [`${i}`.padEnd(64, '"'), Number.MAX_VALUE]),
    )
    const widest = (name: string) => ({ ...profileOf(name), hopMs: wide, weightBytesPerSec: wide })
    const bytes = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`Q${i}`, Number.MAX_SAFE_INTEGER]))
    const deep = choiceOf('heavy', 1024)
    const layerBytes = deep.profile.layerBytes.map(() => bytes)
    const heavy = { ...deep, profile: { ...deep.profile, layerBytes } }
    const far = (n: number) => `${n}`.padEnd(64, 'x') as DeviceId
    const windows = Array.from({ length: 1024 }, (_, firstLayer) => ({
      device: far(firstLayer),
      firstLayer,
      layers: 1,
      gpuLayers: 0,
    }))
    const numbered = { number: 1, plan: { head: far(0), rounds: 1, windows, predictedTpotMs: 1 } }

    const sentence = (length: number): FromDevice => ({
      type: 'status',
      status: { phase: 'failed', plan: 1, code: 'bug', message: '"'.repeat(length) },
    })
    const first = house.join('device0', { memory: { choice: heavy, numbered } })
    house.say(first, { type: 'profile', profile: widest('device0') })
    for (let i = 1; i < 32; i++) {
      const device = house.join(`device${i}`, { name: '"'.repeat(64) })
      house.say(device, sentence(1900))
      house.say(device, { type: 'profile', profile: { ...widest('x'), weightBytesPerSec: { Q8_0: 1 } } })
    }
    house.pass(10_000)
    const view = JSON.stringify({ type: 'room', room: house.view(first) })
    expect(view.length).toBeGreaterThan(700_000)
    expect(view.length).toBeLessThan(maxMessageChars)
    expect(parseFromServer(view)).not.toBeNull()
    expect(house.view(first).devices[0]?.profile?.hopMs).toEqual({})
  })
})

describe('a room', () => {
  it('is plain JSON, and a step leaves the room before it as it was', () => {
    let room: Room = createRoom()
    const frozen = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      Object.freeze(value)
      Object.values(value).forEach(frozen)
    }
    const house = createHouse()
    const connection = house.open()
    const join = {
      type: 'join',
      version: protocolVersion,
      room: kitchen,
      device: id('alice'),
      name: 'a',
      mayOpen: true,
      door: { keyHash: keyHashOf('kitchen'), isOpen: true },
    } as const
    const question = 'question-1' as QuestionId
    const options = { maxTokens: 10, temperature: 0, topP: 1, seed: 0 }
    const events = [
      { type: 'join', message: { ...join, profile: profileOf('alice'), status: { phase: 'idle' } } },
      { type: 'message', message: { type: 'choose', choice: choiceOf('demo') } },
      { type: 'message', message: { type: 'rename', name: 'Alice' } },
      { type: 'asked', question, asked: { messages: [], options, stop: [] } },
      { type: 'message', message: { type: 'answer', question, text: 'Hello' } },
      { type: 'closed' },
      { type: 'time' },
    ] as const
    for (const [i, event] of events.entries()) {
      frozen(room)
      const after = step(
        room,
        { ...event, connection, atMs: 1000 + i * 10 } as Parameters<typeof step>[1],
        everybody,
      )
      if (!after.room) throw new Error('the room is gone too soon')
      room = after.room
      expect(JSON.parse(JSON.stringify(room))).toEqual(room)
    }
    expect(room.numbered?.number).toBe(1)
    const wakeMs = wakeAtMs(room)
    expect(wakeMs).not.toBeNull()
  })
})

/** Mulberry32: the same walk for the same seed. */
function createDice(seed: number) {
  let state = seed
  const roll = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    below: (n: number) => Math.floor(roll() * n),
    pick: <T>(from: readonly T[]): T => from[Math.floor(roll() * from.length)] as T,
  }
}

function check({ devices, choice, numbered, noPlan }: RoomView): void {
  expect(new Set(devices.map(({ device }) => device)).size).toBe(devices.length)
  if (numbered) {
    expect(noPlan).toBeNull()
    expect(choice).not.toBeNull()
    expect(isSound(numbered.plan, choice?.profile.nLayers ?? 0)).toBe(true)
  } else {
    expect(noPlan === null).toBe(choice === null)
  }
}

describe('a random walk', () => {
  const names = ['alice', 'bob', 'charlie', 'dora', 'erik', 'frida']
  it.each([1, 2, 3, 4, 5])('number %i of 400 events keeps what must hold', (seed) => {
    const dice = createDice(seed)
    const house = createHouse()
    const live = new Map<ConnectionId, string>()
    /** What a device knows that was here last. */
    let known: RoomView | null = null

    const enter = (name: string) => {
      const { choice, numbered } = known ?? { choice: null, numbered: null }
      const recalls = choice && numbered && (live.size === 0 || dice.below(2) === 0)
      const memory = recalls ? { memory: { choice, numbered } } : {}
      live.set(dice.below(4) ? house.join(name, memory) : house.joinUnmeasured(name, memory), name)
    }
    const acts: ((connection: ConnectionId, name: string) => void)[] = [
      (connection) =>
        house.say(connection, { type: 'choose', choice: choiceOf(dice.pick(['demo', 'other'])) }),
      (connection, name) =>
        house.say(connection, { type: 'profile', profile: profileOf(name, dice.pick([1e7, 1e8, 4e9])) }),
      (connection) => house.say(connection, { type: 'signal', to: id(dice.pick(names)), sealed: 'aGk=' }),
      (connection) => house.say(connection, { type: 'unreachable', device: id(dice.pick(names)) }),
      (connection) =>
        house.say(connection, { type: 'status', status: { phase: 'ready', plan: 1 + dice.below(5) } }),
      (connection) => house.say(connection, { type: 'rename', name: `n${dice.below(100)}` }),
      (connection) => house.say(connection, { type: 'leave' }),
      (connection) => house.close(connection),
      (connection) => house.sayText(connection, '{"type":"nonsense"}'),
    ]

    for (let n = 0; n < 400; n++) {
      if (dice.below(100) === 0) house.restart()
      for (const connection of live.keys()) if (house.closeCode(connection) !== null) live.delete(connection)
      if (live.size === 0 || dice.below(5) === 0) enter(dice.pick(names))
      else dice.pick(acts)(...dice.pick([...live.entries()]))
      house.pass(dice.pick([0, 3, 40, 300, 2000, 9000]))

      const probe = house.join('probe', { mayOpen: false })
      const before: RoomView | null = known
      known = house.views(probe).at(-1) ?? known
      for (const connection of [probe, ...live.keys()])
        for (const view of house.views(connection).slice(-1)) check(view)
      if (before?.numbered && known?.numbered) {
        expect(known.numbered.number).toBeGreaterThanOrEqual(before.numbered.number)
        const samePlan = JSON.stringify(known.numbered.plan) === JSON.stringify(before.numbered.plan)
        if (known.numbered.number === before.numbered.number) expect(samePlan).toBe(true)
      }
      if (house.closeCode(probe) === null) house.say(probe, { type: 'leave' })
    }

    for (const connection of live.keys()) if (house.closeCode(connection) === null) house.close(connection)
    house.pass(60_000)
    expect(house.count()).toEqual({ rooms: 0, devices: 0 })
    expect(house.wakeAtMs()).toBeNull()
  })
})
