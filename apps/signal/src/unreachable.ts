/**
 * Whom to believe when a device says that another does not answer.
 *
 * A tab that the system has frozen keeps its socket: the browser answers the server's pings for it. Only the devices
 * that exchange `ping` with it can tell. But the one that complains may be the one that is cut off, or hostile. So:
 *
 *   - only devices of the plan are heard, about devices of the plan; about one that runs the whole plan alone, all are,
 *     and it takes two of them: it can serve itself, so one other has no more right to the room;
 *   - about a device that is away, one voice is enough to shorten its seat, never below the time of a reload;
 *   - about a device that is here, more than half of the plan's other devices that are here must say so within 30 s
 *     (in a ring of two that is the other one); then it stays in the room and is left out of the plan.
 *
 * Whoever is alone with his complaint changes nothing. Whoever was left out is back after a reload, when a person
 * chooses again, or with its next message if the others can make no plan without it; so nobody can gain more by lying
 * than by choosing a model.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'
import { devicesOf, isPlanned } from './planning.ts'
import type { Room, Seat } from './room-state.ts'

/** A reload takes a phone this long at worst. */
const reloadMs = 8_000
/** Complaints older than this are about another time. */
const freshMs = 30_000

/** @returns whether the room must plan again, without `device` */
export function considerUnreachable(room: Room, from: Seat, device: DeviceId, atMs: number): boolean {
  const target = room.seats.find((seat) => seat.device === device)
  const plan = room.numbered?.plan
  if (!target || target === from || !plan || !isPlanned(room, device)) return false
  const isAlone = devicesOf(plan).size === 1
  if (!isAlone && !isPlanned(room, from.device)) return false
  if (target.presence.phase === 'away') {
    const { sinceMs, untilMs } = target.presence
    target.presence = { phase: 'away', sinceMs, untilMs: Math.min(untilMs, sinceMs + reloadMs) }
    return false
  }
  const others = room.seats.filter(
    (seat) => seat !== target && seat.presence.phase === 'here' && (isAlone || isPlanned(room, seat.device)),
  )
  target.complaints = [
    ...target.complaints.filter((each) => each.from !== from.device && each.atMs >= atMs - freshMs),
    { from: from.device, atMs },
  ]
  const voices = others.filter((seat) => target.complaints.some((each) => each.from === seat.device))
  if (target.leftOut || voices.length * 2 <= others.length || voices.length < (isAlone ? 2 : 1)) return false
  target.leftOut = true
  target.complaints = []
  return true
}
