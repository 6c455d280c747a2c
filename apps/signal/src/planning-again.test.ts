import { plan, type DeviceProfile } from '@hearth/halda'
import { describe, expect, it } from 'vitest'
import { choiceOf, createHouse, everybody, id, planned, plannedIn, profileOf } from './test-house.ts'

describe('planning again', () => {
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

  describe('once devices have measured the model that was chosen', () => {
    const rateOf = (name: string, bytesPerSec: number) => ({
      ...profileOf(name),
      weightBytesPerSec: { Q8_0: bytesPerSec },
    })

    function twoDevices() {
      let plans = 0
      const house = createHouse((...problem) => {
        plans++
        return plan(...problem)
      })
      const alice = house.join('alice', { profile: rateOf('alice', 9e9) })
      const bob = house.join('bob')
      house.say(alice, { type: 'choose', choice: choiceOf('demo') })
      house.pass(1000)
      expect(plannedIn(house.view(alice))).toEqual(['alice'])
      return { house, alice, bob, plans: () => plans }
    }

    it('plans again 3 s after the last of them', () => {
      const { house, alice, bob, plans } = twoDevices()
      house.say(alice, { type: 'profile', profile: rateOf('alice', 1e9) })
      house.pass(2000)
      house.say(bob, { type: 'profile', profile: rateOf('bob', 12e9) })
      house.pass(2999)
      expect(plans()).toBe(1)
      expect(plannedIn(house.view(alice))).toEqual(['alice'])
      house.pass(1)
      house.pass(100)
      expect(plans()).toBe(2)
      expect(plannedIn(house.view(alice))).toEqual(['bob'])
      expect(house.view(alice).numbered?.number).toBe(2)
    })

    it('leaves layers where they are when that gains little', () => {
      const { house, alice, bob, plans } = twoDevices()
      house.say(bob, { type: 'profile', profile: rateOf('bob', 9.2e9) })
      house.pass(5000)
      expect(plans()).toBe(2)
      expect(plannedIn(house.view(alice))).toEqual(['alice'])
      expect(house.view(alice).numbered?.number).toBe(1)
    })

    it('asks for nothing because of memory, or of what a device that walked in measures first', () => {
      const { house, alice, plans } = twoDevices()
      house.say(alice, { type: 'profile', profile: { ...rateOf('alice', 9e9), memoryBytes: 5e9 } })
      const dora = house.joinUnmeasured('dora')
      house.say(dora, { type: 'profile', profile: rateOf('dora', 90e9) })
      house.pass(30_000)
      expect(plans()).toBe(1)
    })

    it('waits for the end of answers, and of the conversation', () => {
      const { house, alice, bob, plans } = twoDevices()
      const answering = { phase: 'ready', plan: 1, answering: true } as const
      house.say(alice, { type: 'status', status: answering })
      house.say(bob, { type: 'profile', profile: rateOf('bob', 12e9) })
      house.pass(20_000)
      expect(plans()).toBe(1)
      house.say(alice, { type: 'status', status: { phase: 'ready', plan: 1 } })
      house.pass(2000)
      house.say(alice, { type: 'status', status: answering })
      house.pass(2000)
      house.say(alice, { type: 'status', status: { phase: 'ready', plan: 1 } })
      house.pass(2999)
      expect(plans()).toBe(1)
      house.pass(101)
      expect(plans()).toBe(2)
      expect(plannedIn(house.view(alice))).toEqual(['bob'])
    })

    it('waits for a device of the plan that is reloading', () => {
      const { house, alice, bob, plans } = twoDevices()
      house.say(bob, { type: 'profile', profile: rateOf('bob', 12e9) })
      house.close(alice)
      house.pass(15_000)
      expect(plans()).toBe(1)
      const again = house.join('alice', { profile: rateOf('alice', 9e9) })
      house.pass(100)
      expect(plans()).toBe(2)
      expect(plannedIn(house.view(again))).toEqual(['bob'])
    })

    it('does so no more a minute after the choice', () => {
      const { house, alice, plans } = twoDevices()
      house.pass(60_000)
      house.say(alice, { type: 'profile', profile: rateOf('alice', 1e9) })
      house.pass(30_000)
      expect(plans()).toBe(1)
    })
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
    house.pass(70_000)
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

  it('plans again when a GPU is told of, and when it is gone with layers on it', () => {
    const house = createHouse((devices, model) => {
      const [{ device, gpu }] = devices as [DeviceProfile]
      const windows = [{ device, firstLayer: 0, layers: model.nLayers, gpuLayers: gpu ? 1 : 0 }]
      return { ok: true, plan: { head: device, rounds: 1, windows, predictedTpotMs: 1 } }
    })
    const alice = house.join('alice')
    house.say(alice, { type: 'choose', choice: choiceOf('demo') })
    house.pass(10_000)
    const gpuLayers = () => house.view(alice).numbered?.plan.windows.map((window) => window.gpuLayers)
    expect(gpuLayers()).toEqual([0])
    const gpu = { memoryBytes: 1e9, weightBytesPerSec: { Q8_0: 9e9 }, copyMs: 1 }
    house.say(alice, { type: 'profile', profile: { ...profileOf('alice'), gpu } })
    house.pass(10_000)
    expect(gpuLayers()).toEqual([1])
    const number = house.view(alice).numbered?.number
    house.say(alice, { type: 'profile', profile: { ...profileOf('alice'), gpu: { ...gpu, copyMs: 2 } } })
    house.pass(10_000)
    expect(house.view(alice).numbered?.number).toBe(number)
    house.say(alice, { type: 'profile', profile: profileOf('alice') })
    house.pass(10_000)
    expect(gpuLayers()).toEqual([0])
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
})
