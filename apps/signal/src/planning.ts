/**
 * When a room plans and with whom. The arithmetic is the planner's (@hearth/halda), handed in.
 *
 * A room plans when a model is chosen, when a device of the plan is gone, when a device of the plan has less memory
 * than its part needs, and, as long as there is no plan, whenever somebody joins, leaves or was measured. Devices measure
 * the model's own weights once it is chosen, hops meanwhile, and a GPU last: when what they tell has settled, and nobody
 * is being answered, it plans once more, and the planner keeps layers where they are unless moving them pays. It does not
 * plan because somebody walked in: nobody downloads again for a newcomer, until a person chooses again.
 *
 * @module
 */
import type { DeviceId, DeviceProfile, Plan, Planner } from '@hearth/halda'
import { checkDevice, planCost } from '@hearth/halda'
import type { DeviceStatus, NumberedPlan } from '@hearth/engine/protocol'
import { nextNumber } from './plan-number.ts'
import type { Room, Seat } from './room-state.ts'

/** How long a plan waits for devices that reload or are still measuring; then it is made with the others. */
const patienceMs = 6_000
/** For so long after a model is chosen devices measure for it; what they tell later is how they fare from day to day. */
const measuringMs = 60_000
/** Nobody has measured anything new, nor been answered, for so long. */
const settledMs = 3_000
/** Planning costs time that all rooms share. */
const planGapMs = 1_000
/** Longest sentence of the protocol. */
const maxSentence = 2_000

export const isPlanned = (room: Room, device: DeviceId): boolean =>
  room.numbered !== null && devicesOf(room.numbered.plan).has(device)

export const devicesOf = (plan: Plan): Set<DeviceId> =>
  new Set([plan.head, ...plan.windows.map(({ device }) => device)])

/** There is something to run and no plan for it. */
export const needsPlan = (room: Room): boolean => room.choice !== null && room.numbered === null

/** Whether a device's part of the plan has outgrown the memory that it now offers, its GPU's too. */
export function planNoLongerFits(room: Room, { device, profile }: Seat): boolean {
  if (!room.choice || !room.numbered || !profile || !isPlanned(room, device)) return false
  const { plan } = room.numbered
  // What a part takes does not depend on what the other devices measured, and not all of them need be here.
  const anybody = [...devicesOf(plan)].map((each) => ({ ...profile, device: each }))
  const part = planCost(plan, anybody, room.choice.profile).devices.find((each) => each.device === device)
  if (part === undefined) return false
  return part.leastMemoryBytes > part.budgetBytes || part.gpuLayers > part.gpuRoomLayers
}

/** A GPU is found and measured after everything else, perhaps when the plan is made already. */
const gainsGpu = (before: DeviceProfile, after: DeviceProfile): boolean =>
  before.gpu === undefined && after.gpu !== undefined

/** A device that had told how fast it is has measured again: the plan is made once more when nobody does any longer. */
export function noteMeasured(
  room: Room,
  before: DeviceProfile | null,
  after: DeviceProfile,
  atMs: number,
): void {
  if (!room.numbered || before === null) return
  const measuresModel = room.chosenAtMs !== null && atMs - room.chosenAtMs <= measuringMs
  if (gainsGpu(before, after) || (measuresModel && !isAsFast(before, after))) room.measuredAtMs = atMs
}

/** A conversation goes on: the next question may follow at once, and nobody's answer is to end for the sake of speed. */
export function noteAnswers(room: Room, seat: Seat, next: DeviceStatus, atMs: number): void {
  if (room.measuredAtMs !== null && isAnswering(seat.status) && !isAnswering(next)) room.measuredAtMs = atMs
}

const isAnswering = (status: DeviceStatus): boolean => status.phase === 'ready' && status.answering === true

/**
 * When a room whose devices have measured plans again; null when none has, or as long as that would disturb: an answer
 * would end, or a device that is just reloading would lose its part.
 */
export function settledAtMs(room: Room): number | null {
  const { seats, measuredAtMs } = room
  if (measuredAtMs === null) return null
  const isDisturbed = seats.some(
    ({ device, presence, status }) =>
      isPlanned(room, device) && (presence.phase === 'away' || isAnswering(status)),
  )
  return isDisturbed ? null : measuredAtMs + settledMs
}

const isAsFast = (a: DeviceProfile, b: DeviceProfile): boolean =>
  JSON.stringify({ ...a, memoryBytes: 0 }) === JSON.stringify({ ...b, memoryBytes: 0 })

/** Asks for a plan, soon; asking again does not put it off. */
export function wantPlan(room: Room, atMs: number): void {
  if (room.choice) room.planning ??= { untilMs: atMs + patienceMs }
}

/** When the wanted plan should be made; null when none is wanted. */
export function planDueAtMs(room: Room): number | null {
  if (!room.planning) return null
  const notBeforeMs = room.plannedAtMs === null ? 0 : room.plannedAtMs + planGapMs
  return waitedFor(room).length > 0 ? Math.max(notBeforeMs, room.planning.untilMs) : notBeforeMs
}

const waitedFor = (room: Room): Seat[] =>
  room.seats.filter((seat) => !seat.leftOut && (seat.presence.phase === 'away' || !seat.profile))

/** Makes the wanted plan once it is due, and says until then what it waits for. */
export function planIfDue(room: Room, atMs: number, plan: Planner): void {
  const dueAtMs = planDueAtMs(room)
  if (dueAtMs === null) return
  if (dueAtMs > atMs) {
    if (!room.numbered) room.noPlan = waitingSentence(waitedFor(room).length)
    return
  }
  room.planning = null
  room.plannedAtMs = atMs
  room.measuredAtMs = null
  const result = planOf(room, plan)
  if ('noPlan' in result) {
    room.numbered = null
    room.noPlan = (withNames(room, result.noPlan) + leftOutSentence(room)).slice(0, maxSentence)
    return
  }
  room.noPlan = null
  if (room.numbered && isSamePlan(room.numbered.plan, result.plan) && !hasFailed(room, room.numbered)) return
  room.lastNumber = nextNumber(room.lastNumber)
  room.numbered = { number: room.lastNumber, plan: result.plan }
}

function planOf(room: Room, plan: Planner): { plan: Plan } | { noPlan: string } {
  const present = room.seats.filter(({ presence, leftOut }) => presence.phase === 'here' && !leftOut)
  const profiles = present.flatMap(({ profile }) => profile ?? [])
  // One device that measured nonsense must not keep the others from planning.
  const usable = profiles.filter((profile) => checkDevice(profile) === null)
  if (!room.choice || usable.length === 0) {
    const problem = profiles.map((profile) => checkDevice(profile)).find((sentence) => sentence !== null)
    return { noPlan: problem ?? 'No device here has been measured yet. The room plans as soon as one has.' }
  }
  try {
    const current = room.numbered?.plan
    const result = plan(usable, room.choice.profile, room.choice.request, { current })
    if (!result.ok) return { noPlan: result.message }
    if (isSound(result.plan, room.choice.profile.nLayers)) return { plan: result.plan }
    return { noPlan: 'The planner gave a plan that cannot run. Choose the model again.' }
  } catch (thrown) {
    // The profiles come from strangers. A planner that stumbles over them must not take all rooms down with it.
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    return { noPlan: `The planner failed (${reason}). Measure the devices again, or choose another model.` }
  }
}

/** Every layer once, in order, by few enough devices, and a prediction that survives JSON. */
export function isSound(plan: Plan, nLayers: number): boolean {
  let next = 0
  for (const { firstLayer, layers, gpuLayers } of plan.windows) {
    if (firstLayer !== next || layers < 1 || gpuLayers > layers) return false
    next += layers
  }
  return next === nLayers && Number.isFinite(plan.predictedTpotMs)
}

/** Whether two plans ask the same of every device; what they predict may differ. */
export const isSamePlan = (a: Plan, b: Plan): boolean =>
  JSON.stringify([a.head, a.rounds, a.windows.map(partOf)]) ===
  JSON.stringify([b.head, b.rounds, b.windows.map(partOf)])

const partOf = ({ device, firstLayer, layers, gpuLayers }: Plan['windows'][number]) => [
  device,
  firstLayer,
  layers,
  gpuLayers,
]

/** A device of the plan gave up on it: the same plan under a new number is a new try. */
const hasFailed = (room: Room, { number, plan }: NumberedPlan): boolean =>
  room.seats.some(
    ({ device, status }) =>
      status.phase === 'failed' && status.plan === number && devicesOf(plan).has(device),
  )

/** Planners know ids; people know names. */
const withNames = (room: Room, sentence: string): string =>
  room.seats.reduce((text, { device, name }) => text.replaceAll(device, name), sentence)

const waitingSentence = (devices: number): string =>
  devices === 0
    ? 'Planning.'
    : `Planning waits a few seconds for ${devices === 1 ? 'one device' : `${devices} devices`} to be back or measured.`

function leftOutSentence(room: Room): string {
  const names = room.seats.filter(({ leftOut }) => leftOut).map(({ name }) => name)
  if (names.length === 0) return ''
  return ` Left out because the others could not reach it: ${names.join(', ')}. Choose the model again to try with everybody.`
}
