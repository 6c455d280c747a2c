import { expect, it } from 'vitest'
import type { Connection, DeviceId, DeviceView, Readiness, RoomView } from './cluster.ts'
import { readinessInWords } from './readiness.ts'

const bob = 'bob-device' as DeviceId
const seat: DeviceView = {
  device: bob,
  name: 'Bob',
  presence: 'away',
  profile: null,
  status: { phase: 'idle' },
}
const room: RoomView = { devices: [seat], choice: null, numbered: null, noPlan: null, planning: false }
const wordsOf = (readiness: Readiness) =>
  readinessInWords({ readiness, room, connection: { phase: 'online' } })

it('names who is waited for, and who failed', () => {
  expect(wordsOf({ phase: 'waiting', for: [bob] }).sentence).toBe('Waiting for Bob to come back.')
  expect(
    wordsOf({ phase: 'failed', device: bob, code: 'storage-full', message: 'The disk is full.' }),
  ).toMatchObject({
    short: 'Failed',
    sentence: 'Bob: The disk is full.',
  })
})

it('waits for a device that the room no longer names', () => {
  const gone = 'gone-device' as DeviceId
  expect(wordsOf({ phase: 'waiting', for: [gone] }).sentence).toBe(
    'Waiting for a device that left to come back.',
  )
})

it('counts what is loaded, and never says 100 % before the end', () => {
  expect(wordsOf({ phase: 'loading', loadedBytes: 7_290_000, totalBytes: 7_300_000 })).toMatchObject({
    short: 'Loading 99 %',
    sentence: 'The devices are loading their layers: 7.3 MB of 7.3 MB.',
  })
  expect(wordsOf({ phase: 'loading', loadedBytes: 0, totalBytes: 0 }).short).toBe('Loading 0 %')
})

it("passes the planner's reason on", () => {
  expect(wordsOf({ phase: 'no-plan', message: 'The model needs 4.9 GB.' }).sentence).toBe(
    'The model needs 4.9 GB.',
  )
})

it('says how entering goes while there is no room', () => {
  const entering = (connection: Connection) =>
    readinessInWords({ readiness: { phase: 'no-model' }, room: null, connection }).short
  expect(entering({ phase: 'connecting' })).toBe('Entering')
  expect(entering({ phase: 'offline', retryAtMs: 0 })).toBe('Out of reach')
  expect(entering({ phase: 'refused', code: 'no-room', message: 'No room has this link.' })).toBe(
    'Not let in',
  )
})
