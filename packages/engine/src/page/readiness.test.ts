import type { DeviceId } from '@hearth/halda'
import { describe, expect, it } from 'vitest'
import type { DeviceStatus, RoomView } from '../protocol.ts'
import { readinessOf } from './readiness.ts'

const alice = 'alice-device' as DeviceId
const bob = 'bob-device' as DeviceId
const charlie = 'charlie-device' as DeviceId

const ready: DeviceStatus = { phase: 'ready', plan: 2 }
const open = { [alice]: 'open', [bob]: 'open' } as const

/** Alice is the head, bob runs layers, charlie only chats. */
function room(changes: { alice?: DeviceStatus; bob?: DeviceStatus; bobIs?: 'away' | 'gone' } = {}): RoomView {
  const view = (device: DeviceId, status: DeviceStatus) => ({
    device,
    name: device.split('-')[0]!,
    presence: 'here' as const,
    profile: null,
    status,
  })
  const bobs = {
    ...view(bob, changes.bob ?? ready),
    ...(changes.bobIs === 'away' && { presence: 'away' as const }),
  }
  return {
    devices: [
      view(alice, changes.alice ?? ready),
      ...(changes.bobIs === 'gone' ? [] : [bobs]),
      view(charlie, { phase: 'idle' }),
    ],
    choice: {
      model: { name: 'demo', url: '/models/demo.gguf', sizeBytes: 1, revision: '1' },
      profile: {
        name: 'demo',
        nLayers: 4,
        dim: 8,
        layerBytes: [{}, {}, {}, {}],
        outputBytes: {},
        embeddingBytes: 0,
        tiedOutput: true,
        kvBytesPerPosition: 1,
        contextLength: 8,
      },
      request: { split: 'fastest' },
    },
    numbered: {
      number: 2,
      plan: {
        head: alice,
        rounds: 1,
        windows: [
          { device: bob, firstLayer: 0, layers: 2, gpuLayers: 0 },
          { device: alice, firstLayer: 2, layers: 2, gpuLayers: 0 },
        ],
        predictedTpotMs: 1,
      },
    },
    noPlan: null,
    planning: false,
  }
}

describe('what stands between a room and a chat', () => {
  it('is nothing when all devices of the plan are ready and the head can be reached', () => {
    expect(readinessOf(charlie, room(), open)).toEqual({ phase: 'ready' })
    expect(readinessOf(alice, room(), {})).toEqual({ phase: 'ready' })
  })

  it('is the model, then the plan', () => {
    expect(readinessOf(alice, null, {})).toEqual({ phase: 'no-model' })
    expect(readinessOf(alice, { ...room(), choice: null, numbered: null }, {})).toEqual({ phase: 'no-model' })
    const without = { ...room(), numbered: null, noPlan: 'It does not fit.' }
    expect(readinessOf(alice, without, {})).toEqual({ phase: 'no-plan', message: 'It does not fit.' })
    expect(readinessOf(alice, { ...without, planning: true }, {})).toMatchObject({ phase: 'planning' })
  })

  it('is whoever of the plan is away or has left, before anything else', () => {
    expect(readinessOf(charlie, room({ bobIs: 'away' }), open)).toEqual({ phase: 'waiting', for: [bob] })
    expect(readinessOf(charlie, room({ bobIs: 'gone' }), open)).toEqual({ phase: 'waiting', for: [bob] })
  })

  it('is a device that failed with this plan, in its own words; a failure of an older plan is none', () => {
    const failed = { phase: 'failed', code: 'storage-full', message: 'The disk is full.' } as const
    expect(readinessOf(charlie, room({ bob: { ...failed, plan: 2 } }), open)).toEqual({
      phase: 'failed',
      device: bob,
      code: 'storage-full',
      message: 'The disk is full.',
    })
    expect(readinessOf(charlie, room({ bob: { ...failed, plan: 1 } }), open)).toMatchObject({
      phase: 'loading',
    })
  })

  it('is what is still to be loaded; a device that has all and is not ready is connecting', () => {
    const loading = { phase: 'loading', plan: 2, loadedBytes: 30, totalBytes: 100 } as const
    expect(readinessOf(charlie, room({ alice: loading, bob: loading }), open)).toEqual({
      phase: 'loading',
      loadedBytes: 60,
      totalBytes: 200,
    })
    const loaded = { ...loading, loadedBytes: 100 }
    expect(readinessOf(charlie, room({ bob: loaded }), open)).toEqual({ phase: 'connecting' })
  })

  it('is the connection to the head, for the one device that lacks it, with a sentence once it has failed', () => {
    expect(readinessOf(charlie, room(), {})).toEqual({ phase: 'connecting' })
    expect(readinessOf(charlie, room(), { [alice]: 'failed', [bob]: 'open' })).toEqual({
      phase: 'failed',
      device: charlie,
      code: 'webrtc-blocked',
      message: expect.stringMatching(/not alice, which writes the answers.*WebRTC/),
    })
    expect(readinessOf(bob, room(), { [alice]: 'open' })).toEqual({ phase: 'ready' })
  })
})
