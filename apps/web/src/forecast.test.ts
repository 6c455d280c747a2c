import { describe, expect, it } from 'vitest'
import type { DeviceId, DeviceView, RoomView } from './cluster.ts'
import { forecastOf, reasonsOf } from './forecast.ts'

const [alice, bob, charlie] = ['alice-device', 'bob-device', 'charlie-device'] as [
  DeviceId,
  DeviceId,
  DeviceId,
]

/** Alice reads 10 GB/s, bob 5, charlie 1; a hop takes 2 ms. */
function view(device: DeviceId, bytesPerSec: number, changes: Partial<DeviceView> = {}): DeviceView {
  const profile = {
    device,
    memoryBytes: 300e6,
    weightBytesPerSec: { Q8_0: bytesPerSec },
    diskReadBytesPerSec: 1e9,
    hopMs: {},
    defaultHopMs: 2,
  }
  const name = device.replace('-device', '')
  return { device, name, presence: 'here', profile, status: { phase: 'ready', plan: 1 }, ...changes }
}

/** Four layers of 50 MB and an output of 20 MB: two for alice, who is the head, and two for bob. */
const room = (...devices: DeviceView[]): RoomView => ({
  devices,
  choice: {
    model: { name: 'demo', url: '/models/demo.gguf', sizeBytes: 240e6, revision: 'a' },
    profile: {
      name: 'demo',
      nLayers: 4,
      dim: 1024,
      layerBytes: Array.from({ length: 4 }, () => ({ Q8_0: 50e6 })),
      outputBytes: { Q8_0: 20e6 },
      embeddingBytes: 20e6,
      tiedOutput: false,
      kvBytesPerPosition: 1000,
      contextLength: 1000,
    },
    request: { split: 'fastest' },
  },
  numbered: {
    number: 1,
    plan: {
      head: alice,
      rounds: 1,
      windows: [
        { device: alice, firstLayer: 0, layers: 2, gpuLayers: 0 },
        { device: bob, firstLayer: 2, layers: 2, gpuLayers: 0 },
      ],
      predictedTpotMs: 99,
    },
  },
  noPlan: null,
  planning: false,
})
const household = () => room(view(alice, 10e9), view(bob, 5e9), view(charlie, 1e9))

describe('the forecast of a token', () => {
  it('adds up what the devices measured last: computing, output and hops', () => {
    const forecast = forecastOf(household())!
    expect(forecast.devices.get(alice)).toMatchObject({ computeMs: 12, hopMs: 2, budgetBytes: 300e6 })
    expect(forecast.devices.get(bob)).toMatchObject({ computeMs: 20, hopMs: 2 })
    expect(forecast.devices.get(charlie)).toMatchObject({ computeMs: 0, memoryBytes: 0 })
    expect(forecast.tpotMs).toBe(36)
  })

  it('is none without a room, without a plan, and while a device of the plan is not measured', () => {
    expect(forecastOf(null)).toBeNull()
    expect(forecastOf({ ...household(), numbered: null })).toBeNull()
    expect(forecastOf(room(view(alice, 10e9), view(bob, 5e9, { profile: null })))).toBeNull()
    expect(reasonsOf(room(view(alice, 10e9)))).toBeNull()
  })
})

describe('the reasons of a plan', () => {
  it('say by name what each device adds, and what would change without it or with it', () => {
    const { reasons } = reasonsOf(household())!
    expect(reasons.map(({ name, isInRing }) => [name, isInRing])).toEqual([
      ['bob', true],
      ['alice', true],
      ['charlie', false],
    ])
    expect(reasons[0]!.share).toBeCloseTo(22 / 36)
    const [ofBob, ofAlice, ofCharlie] = reasons.map(({ sentences }) => sentences.join(' '))
    expect(ofBob).toContain('Adds 22.0 ms to each token: 20.0 ms of computing, 2.0 ms of handing on.')
    expect(ofBob).toMatch(/Without it a token would take \d/)
    expect(ofAlice).toContain('12.0 ms of computing')
    expect(ofCharlie).toMatch(/Has no part of this model. With a part for it a token would take .* more/)
  })

  it('say what is read from storage for each token, how long that is waited for, and what more memory would save', () => {
    const short = view(bob, 5e9)
    const small = { ...short.profile!, memoryBytes: 125e6, diskReadBytesPerSec: 1e8 }
    const three = room(view(alice, 10e9), { ...short, profile: small })
    three.numbered!.plan.windows = [
      { device: alice, firstLayer: 0, layers: 1, gpuLayers: 0 },
      { device: bob, firstLayer: 1, layers: 3, gpuLayers: 0 },
    ]
    const [ofBob] = reasonsOf(three)!.reasons
    expect(ofBob!.share).toBeGreaterThan(0.9)
    expect(ofBob!.sentences.join(' ')).toMatch(
      /ms of waiting for its storage\. .* 3 of 3 pieces are read from its storage .* With \d+ MB a token would take [\d.]+ ms less\./,
    )
  })

  it('say what makes a device slower, and leave out who is away and has no part', () => {
    const slow = view(bob, 2.5e9)
    const hidden = { ...slow.profile!, slowdown: { factor: 2, reasons: ['hidden' as const] } }
    const { reasons } = reasonsOf(
      room(view(alice, 10e9), { ...slow, profile: hidden }, view(charlie, 1e9, { presence: 'away' })),
    )!
    expect(reasons.map(({ name }) => name)).toEqual(['bob', 'alice'])
    expect(reasons[0]!.sentences.at(-1)).toBe('Counts as 2.0 times slower now: its tab is out of sight.')
  })
})
