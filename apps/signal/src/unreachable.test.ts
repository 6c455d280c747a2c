import { describe, expect, it } from 'vitest'
import type { Planner } from '@hearth/halda'
import { choiceOf, createHouse, everybody, id, plannedIn } from './test-house.ts'

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
