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
