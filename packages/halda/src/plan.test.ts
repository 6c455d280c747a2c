import { describe, expect, it } from 'vitest'
import { plan } from './plan.ts'
import { createRandom, randomDevices, randomModel, shuffled } from './random-cluster.fixture.ts'
import { planExact } from './solve-exact.ts'
import type { DeviceProfile, PlanRequest } from './types.ts'
import { evenLayers } from './windows.ts'

const random = createRandom(21)
const model = randomModel(random, 10)
const devices = randomDevices(random, 3, model, 9)

describe('what a room asks for', () => {
  it('is the fastest plan unless it says otherwise', () => {
    expect(plan(devices, model)).toEqual(planExact(devices, model))
    expect(plan(devices, model, { split: 'fastest' })).toEqual(planExact(devices, model))
  })

  it('may be an even split over all devices, in any number of rounds', () => {
    expect(evenLayers(3, 10)).toEqual([3, 3, 4])
    const even = plan(devices, model, { split: 'even', rounds: 2 })
    expect(even.ok && even.plan.windows.map(({ device, layers }) => `${device} ${layers}`)).toEqual([
      'device-0 1',
      'device-1 1',
      'device-2 2',
      'device-0 2',
      'device-1 2',
      'device-2 2',
    ])
  })

  it('may be layers by hand and a head', () => {
    const [, , third] = devices
    const request = {
      split: 'manual',
      layers: { 'device-0': 4, 'device-2': 6 },
      head: third?.device,
    } as const
    expect(plan(devices, model, request)).toMatchObject({
      plan: { head: 'device-2', rounds: 1, windows: [{ layers: 4 }, { layers: 6 }] },
    })
  })

  const requests: PlanRequest[] = [
    { split: 'fastest' },
    { split: 'even' },
    { split: 'manual', layers: { 'device-1': 10 } },
  ]
  it.each(requests)('does not depend on the order of devices and refuses bad profiles for %j', (request) => {
    expect(plan(shuffled(random, devices), model, request)).toEqual(plan(devices, model, request))
    const broken = [...devices, null] as unknown as DeviceProfile[]
    expect(plan(broken, model, request)).toMatchObject({ ok: false, code: 'bad-profile' })
    expect(plan([], model, request)).toMatchObject({ ok: false, code: 'no-plan' })
  })
})
