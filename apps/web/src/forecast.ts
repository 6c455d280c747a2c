/**
 * What a token should take with the room's plan, and what each device adds to it, by what the devices measured last.
 * Pure.
 *
 * @module
 */
import { explain, planCost, type DeviceProfile } from '@hearth/halda'
import type { DeviceId, RoomView, Slowdown } from './cluster.ts'
import { bytesInWords, namesInWords } from './words.ts'

const nsPerMs = 1e6

/** A conversation of some questions, in tokens. */
const usual = { positions: 512 }

export type DeviceForecast = {
  /** Of every token: its layers, and on the head the output. */
  computeMs: number
  /** Handing on what it computed. */
  hopMs: number
  /** What its part fills of the memory that it offers; more than that streams. */
  memoryBytes: number
  budgetBytes: number
}

export type Forecast = { tpotMs: number; devices: ReadonlyMap<DeviceId, DeviceForecast> }

export type Reason = {
  device: DeviceId
  name: string
  isInRing: boolean
  /** Of a token's time, 0…1. */
  share: number
  /** For a person: what it adds, and what would change without it or with it. */
  sentences: string[]
}

/** The profiles of those who are here; null when one of the plan has none, and nothing can be said. */
function profilesOf({ devices, numbered }: RoomView): DeviceProfile[] | null {
  if (!numbered) return null
  const profiles = devices.flatMap(({ profile, presence }) =>
    profile && (presence === 'here' || isPlanned(numbered.plan, profile.device)) ? profile : [],
  )
  const measured = new Set(profiles.map(({ device }) => device))
  const { head, windows } = numbered.plan
  return [head, ...windows.map(({ device }) => device)].every((device) => measured.has(device))
    ? profiles
    : null
}

const isPlanned = ({ head, windows }: NonNullable<RoomView['numbered']>['plan'], id: DeviceId): boolean =>
  head === id || windows.some(({ device }) => device === id)

/** @returns null without a plan, or while a device of it has not measured itself */
export function forecastOf(room: RoomView | null): Forecast | null {
  const profiles = room && profilesOf(room)
  if (!profiles || !room?.choice || !room.numbered) return null
  const cost = planCost(room.numbered.plan, profiles, room.choice.profile, usual)
  const devices = cost.devices.map((part): [DeviceId, DeviceForecast] => [
    part.device,
    {
      computeMs: (part.computeNs + part.outputNs) / nsPerMs,
      hopMs: part.hopNs / nsPerMs,
      memoryBytes: part.memoryBytes,
      budgetBytes: part.budgetBytes,
    },
  ])
  return { tpotMs: cost.tpotNs / nsPerMs, devices: new Map(devices) }
}

/**
 * Why the plan is as it is, device by device, the largest share of a token first. Plans once more for every device.
 *
 * @returns null when nothing can be said, as {@link forecastOf}
 */
export function reasonsOf(room: RoomView | null): { reasons: Reason[]; notes: string[] } | null {
  const profiles = room && profilesOf(room)
  if (!profiles || !room?.choice || !room.numbered) return null
  const { devices, notes } = explain(room.numbered.plan, profiles, room.choice.profile, usual)
  const nameOf = (id: string) => room.devices.find(({ device }) => device === id)?.name ?? 'A device'
  const reasons = devices.map((part): Reason => {
    const isInRing = part.layers > 0 || part.isHead
    const ownMs = part.computeMs + part.outputMs + part.hopMs + part.waitMs
    const onGpu =
      part.gpuLayers > 0
        ? `${part.gpuLayers} of its ${part.layers} layers run on its GPU, in the GPU’s memory.`
        : null
    const slowdown = profiles.find(({ device }) => device === part.device)?.slowdown
    const adds = `Adds ${tenths(ownMs)} ms to each token: ${tenths(part.computeMs + part.outputMs)} ms of computing${
      part.hops > 0 ? `, ${tenths(part.hopMs)} ms of handing on` : ''
    }${part.waitMs > 0 ? `, ${tenths(part.waitMs)} ms of waiting for its storage` : ''}.`
    const streams =
      part.streamed > 0
        ? `Its part needs ${bytesInWords(part.memoryBytes)}, more than the ${bytesInWords(part.budgetBytes)} it offers: ${part.streamed} of ${part.streamed + part.pinned} pieces are read from its storage for each token.`
        : null
    return {
      device: part.device,
      name: nameOf(part.device),
      isInRing,
      share: part.share,
      sentences: [
        isInRing ? adds : 'Has no part of this model.',
        sentence(part.why),
        onGpu,
        streams,
        part.memoryAdvice && sentence(part.memoryAdvice),
        slowdown ? slowdownInWords(slowdown) : null,
      ].filter((each) => each !== null),
    }
  })
  return {
    reasons: reasons.toSorted((a, b) => b.share - a.share),
    notes: notes.map((note) =>
      room.devices.reduce((text, { device, name }) => text.replaceAll(device, name), note),
    ),
  }
}

const reasonWords: Record<Slowdown['reasons'][number], string> = {
  hidden: 'its tab is out of sight',
  battery: 'its battery is low',
  heat: 'it has become slower, as warm devices do',
}

/** "Counts as 2 times slower now: its tab is out of sight." */
export const slowdownInWords = ({ factor, reasons }: Slowdown): string =>
  `Counts as ${tenths(factor)} times slower now: ${namesInWords(reasons.map((reason) => reasonWords[reason]))}.`

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`

const tenths = (value: number): string => value.toFixed(value < 0.95 ? 2 : 1)
