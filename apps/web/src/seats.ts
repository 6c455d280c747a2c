/**
 * The room as seats around the hearth: who sits where, holds what, and is how far. Pure; the picture and the list draw
 * the same seats.
 *
 * @module
 */
import type { ClusterState, DeviceId, DeviceView, RoomView, Slowdown } from './cluster.ts'
import { bytesInWords } from './words.ts'

export type SeatPhase = 'idle' | 'loading' | 'ready' | 'failed' | 'away'

export type Seat = {
  device: DeviceId
  name: string
  isThisDevice: boolean
  isHead: boolean
  /** The plan gives it layers, or makes it the head. */
  isInRing: boolean
  /** As in the plan, "0-5,12-17", both ends included; '' when it runs none. */
  layerRanges: string
  layers: number
  /** Of them, those on its GPU. */
  gpuLayers: number
  phase: SeatPhase
  /** 0…1 while loading. */
  progress: number
  /** How this device reaches it; null for this device itself and before the first attempt. */
  link: 'connecting' | 'open' | 'failed' | null
  /** What makes it slower than it measured; null when nothing does. */
  slowdown: Slowdown | null
  /** What it does, for a person. */
  sentence: string
}

/** In running order from the head on; devices that the plan leaves out come last, in the order they joined. */
export function seatsOf(state: Pick<ClusterState, 'device' | 'room' | 'links'>): Seat[] {
  const { room } = state
  if (!room) return []
  const plan = room.numbered?.plan
  const order: DeviceId[] = plan ? [plan.head, ...plan.windows.map(({ device }) => device)] : []
  const rank = (device: DeviceId) => (order.includes(device) ? order.indexOf(device) : order.length)
  return room.devices
    .map((view) => seatOf(view, room, state))
    .toSorted((left, right) => rank(left.device) - rank(right.device))
}

function seatOf(view: DeviceView, room: RoomView, state: Pick<ClusterState, 'device' | 'links'>): Seat {
  const { device, name } = view
  const plan = room.numbered?.plan
  const windows = plan?.windows.filter((window) => window.device === device) ?? []
  const isThisDevice = device === state.device
  const phase = phaseOf(view, room)
  const { status } = view
  const seat = {
    device,
    name,
    isThisDevice,
    isHead: plan?.head === device,
    isInRing: plan?.head === device || windows.length > 0,
    layerRanges: windows
      .map(({ firstLayer, layers }) => `${firstLayer}-${firstLayer + layers - 1}`)
      .join(','),
    layers: windows.reduce((sum, { layers }) => sum + layers, 0),
    gpuLayers: windows.reduce((sum, { gpuLayers }) => sum + gpuLayers, 0),
    phase,
    progress:
      status.phase === 'loading' && status.totalBytes > 0 ? status.loadedBytes / status.totalBytes : 0,
    link: isThisDevice ? null : (state.links[device] ?? null),
    slowdown: view.profile?.slowdown ?? null,
  }
  return { ...seat, sentence: sentenceOf(seat, view, room) }
}

/** What a device said of an older plan says nothing of this one. */
function phaseOf({ presence, status }: DeviceView, { numbered }: RoomView): SeatPhase {
  if (presence === 'away') return 'away'
  if (status.phase === 'idle' || status.plan !== numbered?.number) return 'idle'
  return status.phase
}

function sentenceOf(seat: Omit<Seat, 'sentence'>, { profile, status }: DeviceView, room: RoomView): string {
  if (seat.phase === 'away') return 'Away for a moment; its seat is kept.'
  if (seat.phase === 'failed' && status.phase === 'failed') return status.message
  if (seat.phase === 'loading' && status.phase === 'loading')
    return `Loading ${bytesInWords(status.loadedBytes)} of ${bytesInWords(status.totalBytes)}`
  if (seat.isInRing) {
    const share = layersInWords(seat, room)
    return seat.phase === 'ready' ? share : `${share}; getting ready`
  }
  if (profile === null) return 'Measuring what it can do'
  if (room.numbered) return 'Can chat; this model runs without its help'
  return `Offers ${bytesInWords(profile.memoryBytes)} of memory`
}

function layersInWords(
  { layers, gpuLayers, isHead }: Pick<Seat, 'layers' | 'gpuLayers' | 'isHead'>,
  { choice }: RoomView,
): string {
  const total = choice?.profile.nLayers
  const share = layers === 0 ? 'No layers' : total ? `${layers} of ${total} layers` : `${layers} layers`
  const onGpu = gpuLayers === 0 ? '' : gpuLayers === layers ? ', on its GPU' : `, ${gpuLayers} on its GPU`
  return `${share}${onGpu}${isHead ? ', and the head' : ''}`
}
