/**
 * What a device remembers of a room, for a server that has restarted since: the newest memory becomes the room again,
 * and its plan keeps its number, so that nobody loads anything twice.
 *
 * @module
 */
import type { NumberedPlan } from '@hearth/engine/protocol'
import { isNewer, nextNumber } from './plan-number.ts'
import { isSamePlan, isSound, wantPlan } from './planning.ts'
import { seatKeptMs, type Join, type Room } from './room-state.ts'

/**
 * Takes what the room does not know better. A room that has been running keeps its own plan; only one that has just
 * been opened from a memory gives way to a newer memory.
 */
export function recall(room: Room, { choice, numbered }: NonNullable<Join['memory']>, atMs: number): void {
  if (choice && numbered && isSound(numbered.plan, choice.profile.nLayers)) {
    const knowsBetter =
      room.choice !== null && (room.settlesAtMs === null || !isNewer(numbered.number, room.lastNumber))
    if (!knowsBetter) {
      room.choice = choice
      room.numbered = numbered
      room.noPlan = null
      room.lastNumber = numbered.number
      room.planning = null
      room.settlesAtMs = atMs + seatKeptMs
      return
    }
    keepNumbersApart(room, numbered)
  } else if (choice && !room.choice) {
    room.choice = choice
    room.settlesAtMs = atMs + seatKeptMs
    wantPlan(room, atMs)
  }
}

/** No two plans of a room may have one number: the room's plan goes past the one that a device remembers. */
function keepNumbersApart(room: Room, remembered: NumberedPlan): void {
  const { numbered } = room
  const agree = numbered?.number === remembered.number && isSamePlan(numbered.plan, remembered.plan)
  if (agree || isNewer(room.lastNumber, remembered.number)) return
  room.lastNumber = nextNumber(remembered.number)
  if (numbered) room.numbered = { number: room.lastNumber, plan: numbered.plan }
}
