import { plan, type DeviceProfile } from '@hearth/halda'
import { describe, expect, it } from 'vitest'
import {
  choiceOf,
  createHouse,
  everybody,
  id,
  modelOf,
  needsTwo,
  planned,
  plannedIn,
  profileOf,
} from './test-house.ts'

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
