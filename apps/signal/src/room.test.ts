import type { Planner } from '@hearth/halda'
import { describe, expect, it } from 'vitest'
import { choiceOf, createHouse, everybody, id, modelOf, plannedIn, profileOf } from './test-house.ts'

const names = (view: { devices: { name: string }[] }) => view.devices.map(({ name }) => name)

const needsTwo: Planner = (devices, model) =>
  devices.length < 2
    ? { ok: false, code: 'no-plan', message: 'One device is too few.' }
    : everybody(devices, model)

/** Alice, bob and charlie in one room that runs a model by plan number 1. */
function planned() {
  const house = createHouse()
  const alice = house.join('alice')
  const bob = house.join('bob')
  const charlie = house.join('charlie')
  house.say(alice, { type: 'choose', choice: choiceOf('demo') })
  house.pass(100)
  return { house, alice, bob, charlie }
}

describe('who is here', () => {
  it('shows each newcomer to everybody, in the order they joined', () => {
    const house = createHouse()
    const alice = house.join('alice')
    expect(names(house.view(alice))).toEqual(['alice'])
    house.pass(1000)
    const bob = house.join('bob')
    expect(names(house.view(alice))).toEqual(['alice', 'bob'])
    expect(names(house.view(bob))).toEqual(['alice', 'bob'])
  })

  it('shows a newcomer the room at once even when the others were told a moment ago', () => {
    const house = createHouse()
    const alice = house.join('alice')
    const bob = house.join('bob')
    expect(names(house.view(bob))).toEqual(['alice', 'bob'])
    house.pass(50)
    expect(names(house.view(alice))).toEqual(['alice', 'bob'])
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
    expect(names(house.view(alice))).toEqual(['alice', 'charlie'])
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
    expect(names(house.view(alice))).toEqual(['alice', 'bob', 'charlie', 'erik'])
  })

  it('closes the older connection of a device that joins twice', () => {
    const { house, bob } = planned()
    const again = house.join('bob')
    expect(house.closeCode(bob)).toBe(4001)
    expect(names(house.view(again))).toEqual(['alice', 'bob', 'charlie'])
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

describe('planning', () => {
  it('plans at once when everybody is measured, and every device gets the same plan', () => {
    const { house, alice, bob, charlie } = planned()
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'bob', 'charlie'])
    expect(house.view(alice).numbered?.number).toBe(1)
    expect(house.view(alice).noPlan).toBeNull()
    expect(house.view(bob)).toEqual(house.view(alice))
    expect(house.view(charlie)).toEqual(house.view(alice))
  })

  it('waits for a device that has not measured yet', () => {
    const house = createHouse()
    const alice = house.join('alice')
    const bob = house.joinUnmeasured('bob')
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(2000)
    expect(house.view(alice).numbered).toBeNull()
    expect(house.view(alice).noPlan).toContain('one device')
    house.say(bob, { type: 'profile', profile: profileOf('bob') })
    house.pass(200)
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'bob'])
  })

  it('waits 6 s and no longer', () => {
    const house = createHouse()
    const alice = house.join('alice')
    const bob = house.joinUnmeasured('bob')
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(4000)
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(1999)
    expect(house.view(alice).numbered).toBeNull()
    house.pass(1)
    expect(plannedIn(house.view(alice))).toEqual(['alice'])
    house.say(bob, { type: 'profile', profile: profileOf('bob') })
    house.pass(10_000)
    expect(plannedIn(house.view(alice))).toEqual(['alice'])
  })

  it('waits for a device that reloads while another chooses', () => {
    const house = createHouse()
    const alice = house.join('alice')
    const bob = house.join('bob')
    house.close(bob)
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(2000)
    expect(house.view(alice).numbered).toBeNull()
    house.join('bob')
    house.pass(100)
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'bob'])
  })

  it('plans with the first device that is measured when none was in time', () => {
    const house = createHouse()
    const alice = house.joinUnmeasured('alice')
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(10_000)
    expect(house.view(alice).noPlan).toContain('No device here has been measured')
    house.say(alice, { type: 'profile', profile: profileOf('alice') })
    house.pass(200)
    expect(plannedIn(house.view(alice))).toEqual(['alice'])
  })

  it('leaves a running plan alone when somebody walks in, until a person chooses again', () => {
    const { house, alice } = planned()
    const dora = house.join('dora')
    house.pass(30_000)
    expect(house.view(dora).numbered?.number).toBe(1)
    house.say(dora, { type: 'choose', choice: choiceOf('demo') })
    house.pass(100)
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'bob', 'charlie', 'dora'])
    expect(house.view(alice).numbered?.number).toBe(2)
  })

  it('keeps the number when choosing again gives the same plan', () => {
    const { house, alice, bob } = planned()
    house.pass(5000)
    house.say(bob, { type: 'choose', choice: choiceOf('demo') })
    house.pass(5000)
    expect(house.view(alice).numbered?.number).toBe(1)
  })

  it('gives the same plan a new number, a new try, after a device has failed', () => {
    const { house, alice, bob } = planned()
    const status = { phase: 'failed', plan: 1, code: 'storage-full', message: 'No space is left.' } as const
    house.say(bob, { type: 'status', status })
    house.pass(5000)
    expect(house.view(alice).numbered?.number).toBe(1)
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(5000)
    expect(house.view(alice).numbered?.number).toBe(2)
  })

  it('plans anew for another model, under a new number, and never shows the old plan beside it', () => {
    const { house, alice } = planned()
    house.pass(5000)
    house.say(alice, { type: 'choose', choice: choiceOf('other') })
    house.pass(5000)
    expect(house.view(alice).numbered?.number).toBe(2)
    for (const view of house.views(alice)) {
      if (view.choice?.model.name === 'other') expect(view.numbered?.number).not.toBe(1)
    }
  })

  it('asks the planner for the split that a person wants, and plans anew when that changes', () => {
    const requests: unknown[] = []
    const house = createHouse((devices, model, request) => {
      requests.push(request)
      return everybody(devices, model)
    })
    const alice = house.join('alice')
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(2000)
    house.say(alice, {
      type: 'choose',
      choice: { ...choiceOf('demo'), request: { split: 'even', rounds: 2 } },
    })
    house.pass(2000)
    expect(requests).toEqual([{ split: 'fastest' }, { split: 'even', rounds: 2 }])
    expect(house.view(alice).numbered?.number).toBe(2)
  })

  it('says why there is no plan, and tries again when somebody joins', () => {
    const house = createHouse(needsTwo)
    const alice = house.join('alice')
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(5000)
    expect(house.view(alice)).toMatchObject({ numbered: null, noPlan: 'One device is too few.' })
    house.join('bob')
    house.pass(5000)
    expect(house.view(alice)).toMatchObject({ numbered: { number: 1 }, noPlan: null })
  })

  it('plans again when the plan no longer fits a device of it, and not for a better measurement', () => {
    let plans = 0
    const house = createHouse((devices, model) => {
      plans += 1
      const roomy = devices.filter(({ memoryBytes }) => memoryBytes > 200e6).map(({ device }) => device)
      const [head = id('nobody')] = roomy
      const windows = [{ device: head, firstLayer: 0, layers: model.nLayers, gpuLayers: 0 }]
      return { ok: true, plan: { head, rounds: 1, windows, predictedTpotMs: 1 } }
    })
    const alice = house.join('alice')
    const bob = house.join('bob')
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.say(alice, {
      type: 'profile',
      profile: { ...profileOf('alice'), weightBytesPerSec: { Q8_0: 9e9 } },
    })
    house.say(alice, { type: 'profile', profile: profileOf('alice', 400e6) })
    house.say(bob, { type: 'profile', profile: profileOf('bob', 300e6) })
    house.pass(10_000)
    expect(plans).toBe(1)
    house.say(alice, { type: 'profile', profile: profileOf('alice', 18e6) })
    house.pass(10_000)
    expect(plans).toBe(2)
    expect(plannedIn(house.view(alice))).toEqual(['bob'])
  })

  it('plans again when a device comes back with less memory than its part needs', () => {
    const house = createHouse((devices, model) =>
      everybody(
        devices.filter(({ memoryBytes }) => memoryBytes > 200e6),
        model,
      ),
    )
    const alice = house.join('alice')
    const bob = house.join('bob')
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(1000)
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'bob'])
    house.close(bob)
    house.pass(2000)
    house.join('bob', { profile: profileOf('bob', 18e6) })
    house.pass(1000)
    expect(plannedIn(house.view(alice))).toEqual(['alice'])
  })

  it('names devices as people do where a plan fails', () => {
    const house = createHouse((devices) => ({
      ok: false,
      code: 'no-plan',
      message: `${devices[0]!.device} cannot hold it.`,
    }))
    const alice = house.join('alice')
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(100)
    expect(house.view(alice).noPlan).toBe('alice cannot hold it.')
  })

  it('plans without a device whose measurements are nonsense', () => {
    const house = createHouse()
    const alice = house.join('alice')
    house.join('bob', { profile: { ...profileOf('bob'), weightBytesPerSec: { Q8_0: 0 } } })
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(100)
    expect(plannedIn(house.view(alice))).toEqual(['alice'])
  })

  it('survives a planner that throws or answers with a plan that cannot run', () => {
    for (const bad of [
      () => {
        throw new Error('division by zero')
      },
      () => ({
        ok: true as const,
        plan: {
          head: id('alice'),
          rounds: 1,
          windows: [{ device: id('alice'), firstLayer: 0, layers: 3, gpuLayers: 0 }],
          predictedTpotMs: 1,
        },
      }),
      (_: unknown, model: { nLayers: number }) => ({
        ok: true as const,
        plan: {
          head: id('alice'),
          rounds: 1,
          windows: [{ device: id('alice'), firstLayer: 0, layers: model.nLayers, gpuLayers: 0 }],
          predictedTpotMs: Infinity,
        },
      }),
    ]) {
      const house = createHouse(bad)
      const alice = house.join('alice')
      house.say(alice, { type: 'choose', choice: choiceOf('demo') })
      house.pass(100)
      expect(house.view(alice).numbered).toBeNull()
      expect(house.view(alice).noPlan).toMatch(/planner/)
    }
  })

  it('plans once a second at most, however often a device chooses', () => {
    let plans = 0
    const house = createHouse((devices, model) => {
      plans += 1
      const [first] = devices
      const head = first?.device ?? id('nobody')
      const windows = [{ device: head, firstLayer: 0, layers: model.nLayers, gpuLayers: 0 }]
      return { ok: true, plan: { head, rounds: 1, windows, predictedTpotMs: 1 } }
    })
    const alice = house.join('alice')
    for (let i = 0; i < 100; i++) {
      house.say(alice, { type: 'choose', choice: choiceOf(`model${i}`) })
      house.pass(30)
    }
    house.pass(1000)
    expect(plans).toBeLessThanOrEqual(5)
    expect(house.view(alice).choice?.model.name).toBe('model99')
    expect(house.view(alice).numbered).not.toBeNull()
  })

  it('plans 1,024 layers as it plans 12', () => {
    const house = createHouse()
    const alice = house.join('alice')
    house.say(alice, { type: 'choose', choice: choiceOf('deep', 1024) })
    house.pass(100)
    expect(house.view(alice).numbered?.plan.windows[0]?.layers).toBe(modelOf('deep', 1024).nLayers)
  })
})

describe('a device that does not answer', () => {
  it('is left out when most of the others of the plan say so, and stays in the room', () => {
    const { house, alice, bob, charlie } = planned()
    house.pass(1000)
    house.say(alice, { type: 'unreachable', device: id('bob') })
    house.pass(5000)
    expect(house.view(alice).numbered?.number).toBe(1)
    house.say(charlie, { type: 'unreachable', device: id('bob') })
    house.pass(100)
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'charlie'])
    expect(names(house.view(bob))).toEqual(['alice', 'bob', 'charlie'])
  })

  it('is not left out because one device complains about everybody, again and again', () => {
    const { house, alice, bob } = planned()
    for (let i = 0; i < 20; i++) {
      house.say(alice, { type: 'unreachable', device: id('bob') })
      house.say(alice, { type: 'unreachable', device: id('charlie') })
      house.say(alice, { type: 'unreachable', device: id('alice') })
      house.pass(1000)
    }
    expect(house.view(bob).numbered?.number).toBe(1)
  })

  it('is left out on the word of the other one in a ring of two', () => {
    const house = createHouse()
    const alice = house.join('alice')
    house.join('bob')
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(1000)
    house.say(alice, { type: 'unreachable', device: id('bob') })
    house.pass(100)
    expect(plannedIn(house.view(alice))).toEqual(['alice'])
  })

  it('is not left out on the word of a device outside the plan', () => {
    const { house, alice } = planned()
    const dora = house.join('dora')
    const erik = house.join('erik')
    for (const outsider of [dora, erik]) house.say(outsider, { type: 'unreachable', device: id('bob') })
    house.pass(5000)
    expect(house.view(alice).numbered?.number).toBe(1)
  })

  it('keeps its seat for 20 s when only a device outside the plan complains', () => {
    const { house, alice, bob } = planned()
    const dora = house.join('dora')
    house.close(bob)
    house.say(dora, { type: 'unreachable', device: id('bob') })
    house.pass(19_000)
    expect(names(house.view(alice))).toContain('bob')
  })

  it('is not left out by complaints that lie more than 30 s apart', () => {
    const { house, alice, charlie } = planned()
    house.say(alice, { type: 'unreachable', device: id('bob') })
    house.pass(30_001)
    house.say(charlie, { type: 'unreachable', device: id('bob') })
    house.pass(5000)
    expect(house.view(alice).numbered?.number).toBe(1)
  })

  it('loses its seat after 8 s instead of 20 when it is away, and no sooner than that', () => {
    const { house, alice, bob } = planned()
    house.close(bob)
    house.say(alice, { type: 'unreachable', device: id('bob') })
    house.pass(7_999)
    expect(names(house.view(alice))).toEqual(['alice', 'bob', 'charlie'])
    house.pass(101)
    expect(names(house.view(alice))).toEqual(['alice', 'charlie'])
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'charlie'])
  })

  it('is planned with again when a person chooses again', () => {
    const { house, alice, charlie } = planned()
    house.pass(1000)
    for (const other of [alice, charlie]) house.say(other, { type: 'unreachable', device: id('bob') })
    house.pass(5000)
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'charlie'])
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(1000)
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'bob', 'charlie'])
  })

  it('is named in the sentence when the others cannot hold the model alone, and is back as soon as it says something', () => {
    const house = createHouse(needsTwo)
    const alice = house.join('alice')
    const bob = house.join('bob')
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(1000)
    house.say(alice, { type: 'unreachable', device: id('bob') })
    house.pass(1000)
    expect(house.view(alice).noPlan).toMatch(/^One device is too few\. Left out .*: bob\./)
    house.say(bob, { type: 'status', status: { phase: 'idle' } })
    house.pass(1000)
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'bob'])
  })

  it('stays left out, whatever it says, while the others have a plan', () => {
    const { house, alice, bob, charlie } = planned()
    house.pass(1000)
    for (const other of [alice, charlie]) house.say(other, { type: 'unreachable', device: id('bob') })
    house.say(bob, { type: 'status', status: { phase: 'idle' } })
    house.pass(5000)
    house.say(bob, { type: 'status', status: { phase: 'idle' } })
    house.pass(5000)
    expect(plannedIn(house.view(alice))).toEqual(['alice', 'charlie'])
    expect(house.view(alice).numbered?.number).toBe(2)
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
