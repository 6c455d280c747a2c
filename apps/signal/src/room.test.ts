import { describe, expect, it } from 'vitest'
import { choiceOf, createHouse, id, namesIn, planned, plannedIn, profileOf } from './test-house.ts'

describe('who is here', () => {
  it('shows each newcomer to everybody, in the order they joined', () => {
    const house = createHouse()
    const alice = house.join('alice')
    expect(namesIn(house.view(alice))).toEqual(['alice'])
    house.pass(1000)
    const bob = house.join('bob')
    expect(namesIn(house.view(alice))).toEqual(['alice', 'bob'])
    expect(namesIn(house.view(bob))).toEqual(['alice', 'bob'])
  })

  it('shows a newcomer the room at once even when the others were told a moment ago', () => {
    const house = createHouse()
    const alice = house.join('alice')
    const bob = house.join('bob')
    expect(namesIn(house.view(bob))).toEqual(['alice', 'bob'])
    house.pass(50)
    expect(namesIn(house.view(alice))).toEqual(['alice', 'bob'])
  })

  it('keeps the seat of a device that reloads', () => {
    const { house, alice, bob } = planned()
    house.close(bob)
    expect(house.view(alice).devices[1]).toMatchObject({ name: 'bob', presence: 'away' })
    house.pass(3000)
    const again = house.join('bob')
    expect(house.view(again).devices[1]).toMatchObject({ name: 'bob', presence: 'here' })
    house.pass(60_000)
    expect(house.view(alice).numbered?.number).toBe(1)
  })

  it('keeps what a device measured when it joins again without saying it', () => {
    const { house, bob } = planned()
    house.close(bob)
    const again = house.joinUnmeasured('bob')
    expect(house.view(again).devices[1]?.profile).toEqual(profileOf('bob'))
  })

  it('gives up the seat after 20 s and plans with those who remain', () => {
    const { house, alice, bob } = planned()
    house.close(bob)
    house.pass(19_999)
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'bob', 'charlie'])
    house.pass(1)
    house.pass(100)
    expect(namesIn(house.view(alice))).toEqual(['alice', 'charlie'])
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'charlie'])
    expect(house.view(alice).numbered?.number).toBe(2)
  })

  it('plans at once when a device of the plan leaves', () => {
    const { house, alice, charlie } = planned()
    house.pass(1000)
    house.say(charlie, { type: 'leave' })
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'bob'])
  })

  it('does not plan again when a device outside the plan leaves', () => {
    const { house, alice } = planned()
    const dora = house.join('dora')
    house.join('erik')
    house.say(dora, { type: 'leave' })
    house.pass(30_000)
    expect(house.view(alice).numbered?.number).toBe(1)
    expect(namesIn(house.view(alice))).toEqual(['alice', 'bob', 'charlie', 'erik'])
  })

  it('closes the older connection of a device that joins twice', () => {
    const { house, bob } = planned()
    const again = house.join('bob')
    expect(house.closeCode(bob)).toBe(4001)
    expect(namesIn(house.view(again))).toEqual(['alice', 'bob', 'charlie'])
    house.handle({ type: 'closed', connection: bob, atMs: house.now() })
    expect(house.view(again).devices[1]?.presence).toBe('here')
  })

  it('believes no profile about another device', () => {
    const house = createHouse()
    const alice = house.join('alice', { profile: profileOf('bob') })
    expect(house.view(alice).devices[0]?.profile?.device).toBe(id('alice'))
    house.say(alice, { type: 'profile', profile: profileOf('charlie') })
    house.pass(1000)
    expect(house.view(alice).devices[0]?.profile?.device).toBe(id('alice'))
  })

  it('refuses the 33rd device and lets the others be', () => {
    const house = createHouse()
    const first = house.join('device0')
    for (let i = 1; i < 32; i++) house.join(`device${i}`)
    const late = house.join('late')
    expect(house.refusal(late)).toMatchObject({ code: 'room-full' })
    expect(house.closeCode(late)).toBe(1008)
    house.pass(100)
    expect(house.view(first).devices).toHaveLength(32)
    const again = house.join('device0')
    expect(house.view(again).devices).toHaveLength(32)
  })

  it('is forgotten when the last seat is given up', () => {
    const house = createHouse()
    const alice = house.join('alice')
    expect(house.count()).toEqual({ rooms: 1, devices: 1 })
    house.close(alice)
    house.pass(20_000)
    expect(house.count()).toEqual({ rooms: 0, devices: 0 })
    expect(house.wakeAtMs()).toBeNull()
  })
})

describe('what is told', () => {
  it('tells progress at most five times a second and ends with the newest', () => {
    const { house, alice, bob } = planned()
    house.pass(1000)
    const before = house.views(alice).length
    for (let loadedBytes = 0; loadedBytes <= 1000; loadedBytes += 10) {
      house.say(bob, {
        type: 'status',
        status: { phase: 'loading', plan: 1, loadedBytes, totalBytes: 1000 },
      })
      house.pass(10)
    }
    house.pass(200)
    expect(house.views(alice).length - before).toBeLessThanOrEqual(7)
    expect(house.views(alice).length - before).toBeGreaterThan(3)
    expect(house.view(alice).devices[1]?.status).toMatchObject({ loadedBytes: 1000 })
  })

  it('tells a new name', () => {
    const { house, alice, bob } = planned()
    house.say(bob, { type: 'rename', name: 'Bob in the kitchen' })
    house.pass(200)
    expect(house.view(alice).devices[1]?.name).toBe('Bob in the kitchen')
  })

  it('relays a signal to the device that it names and to no other', () => {
    const { house, alice, bob, charlie } = planned()
    house.say(alice, { type: 'signal', to: id('bob'), sealed: 'c2VhbGVk' })
    expect(house.signals(bob)).toEqual([{ type: 'signal', from: id('alice'), sealed: 'c2VhbGVk' }])
    expect(house.signals(charlie)).toEqual([])
    expect(house.signals(alice)).toEqual([])
  })

  it('drops a signal to a device that is away', () => {
    const { house, alice, bob } = planned()
    house.close(bob)
    house.say(alice, { type: 'signal', to: id('bob'), sealed: 'c2VhbGVk' })
    house.pass(1000)
    const again = house.join('bob')
    expect(house.signals(again)).toEqual([])
  })
})

describe('a restart of the server', () => {
  /** What alice and the others still know after {@link planned}. */
  function remembered() {
    const { house, alice } = planned()
    for (let i = 0; i < 4; i++) {
      house.pass(1000)
      house.say(alice, { type: 'choose', choice: choiceOf(`model${i}`) })
    }
    house.pass(1000)
    const { choice, numbered } = house.view(alice)
    if (!choice || !numbered) throw new Error('no plan')
    expect(numbered.number).toBe(5)
    house.restart()
    return { house, memory: { choice, numbered } }
  }

  it('keeps the room, its choice and the plan under its number', () => {
    const { house, memory } = remembered()
    const bob = house.join('bob', { memory })
    const alice = house.join('alice', { memory })
    house.join('charlie', { memory })
    house.pass(60_000)
    for (const device of [alice, bob]) {
      expect(house.view(device).numbered).toEqual(memory.numbered)
      expect(house.view(device).choice).toEqual(memory.choice)
    }
  })

  it('gives the others of the plan 20 s to come back, then plans without them', () => {
    const { house, memory } = remembered()
    const alice = house.join('alice', { memory })
    house.join('bob', { memory })
    house.pass(19_900)
    expect(house.view(alice).numbered?.number).toBe(5)
    house.pass(200)
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'bob'])
    expect(house.view(alice).numbered?.number).toBe(6)
  })

  it('takes the newest memory, whoever comes first', () => {
    const { house, memory } = remembered()
    const older = { choice: choiceOf('demo'), numbered: { ...memory.numbered, number: 1 } }
    const bob = house.join('bob', { memory: older })
    expect(house.view(bob).numbered?.number).toBe(1)
    house.join('alice', { memory })
    house.join('charlie', { memory: older })
    house.pass(100)
    expect(house.view(bob)).toMatchObject({ choice: memory.choice, numbered: memory.numbered })
  })

  it('lets no memory overrule a room that has been running, and gives no number twice', () => {
    const { house, alice } = planned()
    house.pass(1000)
    const plan = house.view(alice).numbered?.plan
    if (!plan) throw new Error('no plan')
    const stray = { ...plan, head: id('charlie') }
    house.join('bob', { memory: { choice: choiceOf('old'), numbered: { number: 40, plan: stray } } })
    house.pass(100)
    expect(house.view(alice).choice?.model.name).toBe('demo')
    expect(house.view(alice).numbered).toEqual({ number: 41, plan })
  })

  it('takes no memory of a plan that does not cover the model', () => {
    const { house, memory } = remembered()
    const [first] = memory.numbered.plan.windows
    if (!first) throw new Error('no window')
    const torn = { number: 7, plan: { ...memory.numbered.plan, windows: [first] } }
    const alice = house.join('alice', { memory: { choice: memory.choice, numbered: torn } })
    house.pass(100)
    expect(house.view(alice).numbered?.number).not.toBe(7)
  })

  it('plans for a remembered choice that had no plan', () => {
    const house = createHouse()
    const alice = house.join('alice', { memory: { choice: choiceOf('demo') } })
    house.pass(100)
    expect(plannedIn(house.view(alice))).toEqual(['alice'])
  })

  it('takes a memory only from a device that was in the room', () => {
    const house = createHouse()
    const alice = house.join('alice')
    house.join('bob', { mayOpen: false, memory: { choice: choiceOf('demo') } })
    house.pass(1000)
    expect(house.view(alice).choice).toBeNull()
  })

  it('begins again at 1 after plan 65,535', () => {
    const { house, memory } = remembered()
    const last = { choice: memory.choice, numbered: { ...memory.numbered, number: 65_535 } }
    const alice = house.join('alice', { memory: last })
    house.say(alice, { type: 'choose', choice: choiceOf('next') })
    house.pass(1000)
    expect(house.view(alice).numbered?.number).toBe(1)
  })
})
