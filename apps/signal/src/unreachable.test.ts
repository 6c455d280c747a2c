import type { Planner } from '@hearth/halda'
import { describe, expect, it } from 'vitest'
import { choiceOf, createHouse, everybody, id, namesIn, needsTwo, planned, plannedIn } from './test-house.ts'

/** Gives the model to the first device alone, as long as it is there. */
const oneAlone: Planner = (devices, model, request) => {
  const first = devices.toSorted((a, b) => (a.device < b.device ? -1 : 1)).slice(0, 1)
  return everybody(first, model, request)
}

function aliceAlone(...others: string[]) {
  const house = createHouse(oneAlone)
  const alice = house.join('alice')
  const connections = others.map((name) => house.join(name))
  house.say(alice, { type: 'choose', choice: choiceOf('demo') })
  house.pass(1000)
  return { house, alice, connections }
}

describe('a device that runs the whole plan alone', () => {
  it('is left out when most of the room cannot reach it', () => {
    const { house, alice, connections } = aliceAlone('bob', 'charlie', 'dora')
    const [bob, charlie] = connections
    for (const other of [bob!, charlie!]) house.say(other, { type: 'unreachable', device: id('alice') })
    house.pass(1000)
    expect(plannedIn(house.view(alice))).toEqual(['bob'])
  })

  it('goes on when one device of many cannot reach it', () => {
    const { house, alice, connections } = aliceAlone('bob', 'charlie', 'dora')
    house.say(connections[0]!, { type: 'unreachable', device: id('alice') })
    house.pass(5000)
    expect(plannedIn(house.view(alice))).toEqual(['alice'])
  })

  it('goes on when the only other device cannot reach it: that one might be the one cut off', () => {
    const { house, alice, connections } = aliceAlone('bob')
    house.say(connections[0]!, { type: 'unreachable', device: id('alice') })
    house.pass(5000)
    expect(plannedIn(house.view(alice))).toEqual(['alice'])
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
    expect(namesIn(house.view(bob))).toEqual(['alice', 'bob', 'charlie'])
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
    expect(namesIn(house.view(alice))).toContain('bob')
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
    expect(namesIn(house.view(alice))).toEqual(['alice', 'bob', 'charlie'])
    house.pass(101)
    expect(namesIn(house.view(alice))).toEqual(['alice', 'charlie'])
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
