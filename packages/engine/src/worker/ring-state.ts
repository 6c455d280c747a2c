/**
 * The ring as a device that waits for an answer sees it. Pure.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'
import type { RoomView } from '../protocol.ts'
import { notReady, ringDevices } from './plan-part.ts'

export type RingState = {
  /** What the room runs; null for nothing. */
  model: string | null
  /** Whom to ask, once everybody is ready. */
  head: DeviceId | null
  /** No ring will come by itself: there is no plan and none on its way, or a device cannot hold its part. */
  isHopeless: boolean
  /** Names of the plan's devices that are not here. */
  gone: string[]
  /** Of these, those whose seats the server keeps for them. */
  away: DeviceId[]
  /** Another text whenever the ring came nearer, or went. */
  news: string
}

/** @param isLinked whether this device reaches another one, or is it */
export function ringState(room: RoomView | null, isLinked: (device: DeviceId) => boolean): RingState {
  const { choice = null, numbered = null, planning = false, devices = [] } = room ?? {}
  const model = choice && JSON.stringify(choice.model)
  if (numbered === null) {
    return { model, head: null, isHopeless: !planning, gone: [], away: [], news: `${planning}` }
  }
  const { number, plan } = numbered
  const ring = ringDevices(plan)
  const members = devices.filter(({ device }) => ring.has(device))
  const away = members.filter(({ presence }) => presence === 'away')
  const gone = members.filter(({ device, presence }) => presence === 'away' || !isLinked(device))
  const isReady = notReady(numbered, room).length === 0 && isLinked(plan.head)
  const seen = members.map(({ device, presence, status }) => [device, presence, status, isLinked(device)])
  return {
    model,
    head: isReady ? plan.head : null,
    isHopeless: members.some(({ status }) => status.phase === 'failed' && status.plan === number),
    gone: gone.map(({ name }) => name),
    away: away.map(({ device }) => device),
    news: JSON.stringify([number, planning, seen]),
  }
}
