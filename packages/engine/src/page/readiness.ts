/**
 * What stands between this device's room and a chat, from what the server tells and the links show.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'
import type { RoomView } from '../protocol.ts'
import type { Readiness } from './cluster.ts'
import type { LinkPhase } from './mesh.ts'

export function readinessOf(
  me: DeviceId,
  room: RoomView | null,
  links: Record<DeviceId, LinkPhase>,
): Readiness {
  if (room === null || room.choice === null) return { phase: 'no-model' }
  const { numbered } = room
  if (numbered === null) {
    return { phase: room.planning ? 'planning' : 'no-plan', message: room.noPlan ?? 'Planning.' }
  }

  const { number, plan } = numbered
  const ring = new Set([plan.head, ...plan.windows.map(({ device }) => device)])
  const members = room.devices.filter(({ device }) => ring.has(device))
  const away = [...ring].filter(
    (id) => !members.some(({ device, presence }) => device === id && presence === 'here'),
  )
  if (away.length > 0) return { phase: 'waiting', for: away }

  for (const { device, status } of members) {
    if (status.phase === 'failed' && status.plan === number) {
      return { phase: 'failed', device, code: status.code, message: status.message }
    }
  }
  let loadedBytes = 0
  let totalBytes = 0
  let ready = 0
  for (const { status } of members) {
    if (status.phase === 'ready' && status.plan === number) ready++
    else if (status.phase === 'loading' && status.plan === number) {
      loadedBytes += status.loadedBytes
      totalBytes += status.totalBytes
    }
  }
  if (ready < members.length) {
    const linking = totalBytes > 0 && loadedBytes === totalBytes
    return linking ? { phase: 'connecting' } : { phase: 'loading', loadedBytes, totalBytes }
  }
  if (plan.head === me || links[plan.head] === 'open') return { phase: 'ready' }
  if (links[plan.head] !== 'failed') return { phase: 'connecting' }
  const head = members.find(({ device }) => device === plan.head)?.name
  return {
    phase: 'failed',
    device: me,
    code: 'webrtc-blocked',
    message: `This device reaches the server, but not ${head}, which writes the answers. Allow WebRTC in both browsers and put both devices into one network; alone, in a room of its own, this device works too.`,
  }
}
