import { describe, expect, it } from 'vitest'
import type { DeviceId, DeviceView, RoomView } from './cluster.ts'
import { seatsOf } from './seats.ts'

const [alice, bob, charlie] = ['alice-device', 'bob-device', 'charlie-device'] as [
  DeviceId,
  DeviceId,
  DeviceId,
]

const view = (
  device: DeviceId,
  status: DeviceView['status'],
  changes: Partial<DeviceView> = {},
): DeviceView => ({
  device,
  name: device.replace('-device', ''),
  presence: 'here',
  profile: {
    device,
    memoryBytes: 1.5e9,
    weightBytesPerSec: {},
    diskReadBytesPerSec: 1e9,
    hopMs: {},
    defaultHopMs: 1,
  },
  status,
  ...changes,
})

const ready = { phase: 'ready', plan: 2 } as const
const model = { name: 'demo', url: '/models/demo.gguf', sizeBytes: 7e6, revision: 'a' }
const profile = {
  name: 'demo',
  nLayers: 6,
  dim: 64,
  layerBytes: [{}],
  outputBytes: {},
  embeddingBytes: 1,
  tiedOutput: true,
  kvBytesPerPosition: 1,
  contextLength: 512,
}
/** Bob is the head and runs twice; Alice runs between; Charlie is left out. */
const room = (devices: DeviceView[]): RoomView => ({
  devices,
  choice: { model, profile, request: { split: 'fastest' } },
  numbered: {
    number: 2,
    plan: {
      head: bob,
      rounds: 2,
      windows: [
        { device: bob, firstLayer: 0, layers: 2, gpuLayers: 0 },
        { device: alice, firstLayer: 2, layers: 3, gpuLayers: 0 },
        { device: bob, firstLayer: 5, layers: 1, gpuLayers: 0 },
      ],
      predictedTpotMs: 20,
    },
  },
  noPlan: null,
  planning: false,
})
const seats = (...devices: DeviceView[]) =>
  seatsOf({ device: alice, room: room(devices), links: { [bob]: 'open', [charlie]: 'failed' } })

describe('seats around the hearth', () => {
  it('are none before there is a room', () => {
    expect(seatsOf({ device: alice, room: null, links: {} })).toEqual([])
  })

  it('go round in running order from the head, those left out last', () => {
    const order = seats(view(charlie, ready), view(alice, ready), view(bob, ready))
    expect(order.map(({ device, isHead, isInRing }) => [device, isHead, isInRing])).toEqual([
      [bob, true, true],
      [alice, false, true],
      [charlie, false, false],
    ])
  })

  it('say which layers they run, over all rounds', () => {
    const [head, own] = seats(view(alice, ready), view(bob, ready))
    expect([head?.slowdown, own?.slowdown]).toEqual([null, null])
    expect([head?.layerRanges, head?.layers, head?.sentence]).toEqual([
      '0-1,5-5',
      3,
      '3 of 6 layers, and the head',
    ])
    expect([own?.layerRanges, own?.sentence, own?.link]).toEqual(['2-4', '3 of 6 layers', null])
  })

  it('say which of them run on a GPU', () => {
    const onGpu = (gpuLayers: number, layers: number) => {
      const windows = [{ device: bob, firstLayer: 0, layers, gpuLayers }]
      const plan = { head: alice, rounds: 1, windows, predictedTpotMs: 1 }
      const seat = seatsOf({
        device: alice,
        room: { ...room([view(alice, ready), view(bob, ready)]), numbered: { number: 2, plan } },
        links: {},
      }).find(({ device }) => device === bob)
      return [seat?.gpuLayers, seat?.sentence]
    }
    expect(onGpu(2, 3)).toEqual([2, '3 of 6 layers, 2 on its GPU'])
    expect(onGpu(3, 3)).toEqual([3, '3 of 6 layers, on its GPU'])
  })

  it('count progress only of the plan that is in force', () => {
    const loading = { phase: 'loading', loadedBytes: 1e6, totalBytes: 4e6 } as const
    const [now] = seats(view(bob, { ...loading, plan: 2 }))
    expect([now?.phase, now?.progress, now?.sentence]).toEqual(['loading', 0.25, 'Loading 1.0 MB of 4.0 MB'])
    const [stale] = seats(view(bob, { ...loading, plan: 1 }))
    expect([stale?.phase, stale?.sentence]).toEqual(['idle', '3 of 6 layers, and the head; getting ready'])
  })

  it('tell trouble before anything else', () => {
    const failed = { phase: 'failed', plan: 2, code: 'storage-full', message: 'Its disk is full.' } as const
    const [head, own] = seats(view(bob, failed), view(alice, ready, { presence: 'away' }))
    expect([head?.phase, head?.sentence]).toEqual(['failed', 'Its disk is full.'])
    expect([own?.phase, own?.sentence]).toEqual(['away', 'Away for a moment; its seat is kept.'])
  })

  it('say what a device without layers is there for', () => {
    const [outside] = seats(view(charlie, ready))
    expect([outside?.sentence, outside?.link]).toEqual([
      'Can chat; this model runs without its help',
      'failed',
    ])
    const unplanned = (device: DeviceView) =>
      seatsOf({ device: alice, room: { ...room([device]), numbered: null }, links: {} })[0]?.sentence
    expect(unplanned(view(charlie, { phase: 'idle' }))).toBe('Offers 1.5 GB of memory')
    expect(unplanned(view(charlie, { phase: 'idle' }, { profile: null }))).toBe('Measuring what it can do')
  })
})
