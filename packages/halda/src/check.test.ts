import { describe, expect, it } from 'vitest'
import { checkDevice, checkProfiles } from './check.ts'
import { planExhaustive } from './exhaustive.ts'
import { createRandom, randomDevices, randomModel } from './random-cluster.fixture.ts'
import { planExact } from './solve-exact.ts'
import { planManual } from './solve-manual.ts'
import type { DeviceProfile, ModelProfile } from './types.ts'

const random = createRandom(1)
const model = randomModel(random, 4)
const devices = randomDevices(random, 2, model, 1)
const [first, second] = devices

describe('profiles', () => {
  it('pass when every field is a number in bounds, and the optional ones are there or not', () => {
    expect(checkProfiles(devices, model)).toBeNull()
    const measured = { layerFixedMs: 0.02, kvAppendMs: 0.001, headFixedMs: 0.1, kvReadBytesPerSec: 4e9 }
    expect(checkDevice({ ...first, ...measured, prefillBytesPerSec: { Q4_K: 4e10 } })).toBeNull()
    const gpu = { memoryBytes: 8e9, weightBytesPerSec: { Q4_K: 9e10 }, copyMs: 0.2 }
    expect(checkDevice({ ...first, downloadBytesPerSec: 1e7, gpu })).toBeNull()
  })

  it.each([
    ['memoryBytes', 0],
    ['memoryBytes', Number.NaN],
    ['memoryBytes', -1],
    ['memoryBytes', Number.POSITIVE_INFINITY],
    ['memoryBytes', '8 GB'],
    ['memoryBytes', undefined],
    ['weightBytesPerSec', {}],
    ['weightBytesPerSec', { Q4_K: 0 }],
    ['weightBytesPerSec', { Q4_K: 1e300 }],
    ['weightBytesPerSec', { Q4_K: 5e-324 }],
    ['weightBytesPerSec', [1]],
    ['diskReadBytesPerSec', -5],
    ['diskReadBytesPerSec', 0],
    ['hopMs', { bob: Number.NaN }],
    ['hopMs', null],
    ['defaultHopMs', undefined],
    ['defaultHopMs', 1e12],
    ['layerFixedMs', -1],
    ['headFixedMs', Number.NaN],
    ['kvAppendMs', '1'],
    ['kvReadBytesPerSec', 0],
    ['prefillBytesPerSec', { Q4_K: 0 }],
    ['downloadBytesPerSec', 0],
    ['hops', { bob: { rowMs: 1 } }],
    ['gpu', 'fast'],
    ['gpu', { memoryBytes: 0, weightBytesPerSec: { Q4_K: 9e10 }, copyMs: 0.2 }],
    ['gpu', { memoryBytes: 8e9, weightBytesPerSec: {}, copyMs: 0.2 }],
    ['gpu', { memoryBytes: 8e9, weightBytesPerSec: { Q4_K: 9e10 } }],
    [
      'gpu',
      { memoryBytes: 8e9, weightBytesPerSec: { Q4_K: 9e10 }, prefillBytesPerSec: { Q4_K: -1 }, copyMs: 0.2 },
    ],
  ])('are refused with a sentence naming the device when %s is %j', (field, value) => {
    const broken = { ...first, [field]: value }
    const sentence = checkProfiles([broken, second], model)
    expect(sentence).toContain(`The profile of ${first?.device} cannot be used: ${field}`)
    expect(sentence).toBe(checkDevice(broken))
  })

  it.each([
    ['name', ''],
    ['nLayers', 0],
    ['nLayers', 1e9],
    ['nLayers', 3],
    ['dim', 1.5],
    ['layerBytes', [{ Q4_K: 1 }, { Q4_K: 1 }, { Q4_K: 1 }, { Q4_K: -1 }]],
    ['layerBytes', 'many'],
    ['outputBytes', { F32: Number.NaN }],
    ['embeddingBytes', 1e20],
    ['tiedOutput', undefined],
    ['kvBytesPerPosition', -1],
    ['contextLength', 0],
    ['headDim', 0],
  ])('are refused with a sentence naming the field when %s of the model is %j', (field, value) => {
    const sentence = checkProfiles(devices, { ...model, [field]: value })
    expect(sentence).toMatch(
      new RegExp(
        `^The profile of .* cannot be used: ${field === 'nLayers' && value === 3 ? 'layerBytes' : field}`,
      ),
    )
  })

  it('are refused when they are no profiles at all, listed twice or too many', () => {
    expect(checkProfiles(undefined, model)).toContain('must be a list')
    expect(checkProfiles([null], model)).toContain('device number 1 is not an object')
    expect(checkProfiles([{}], model)).toContain('does not say whose it is')
    expect(checkProfiles([first, first], model)).toContain('listed twice')
    expect(checkProfiles(Array(65).fill(first), model)).toContain('64 at most')
    expect(checkProfiles(devices, null)).toContain('"model" must be an object')
  })

  it('make every planner answer bad-profile rather than plan', () => {
    const broken = [{ ...first, memoryBytes: Number.NaN }, second] as DeviceProfile[]
    const answer = { ok: false, code: 'bad-profile', message: expect.stringContaining('memoryBytes is NaN') }
    expect(planExact(broken, model)).toEqual(answer)
    expect(planExhaustive(broken, model)).toEqual(answer)
    expect(planManual(broken, model, { layers: [4] })).toEqual(answer)
    expect(planExact(devices, { ...model, dim: 0 } as ModelProfile)).toMatchObject({ code: 'bad-profile' })
  })
})
