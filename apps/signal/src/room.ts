/**
 * The life of one room as a pure function: what it was and what happened in, what it is and what to send out.
 *
 * No sockets, no clock, no chance: every event says when it happened, {@link wakeAtMs} says when time alone would
 * change something, and a Room is plain JSON. So a room can be tested by the thousand, and could be kept anywhere.
 *
 * @module
 */
import type { Planner } from '@hearth/halda'
import {
  maxDevices,
  type FromDevice,
  type FromServer,
  type ModelChoice,
  type RoomView,
} from '@hearth/engine/protocol'
import { recall } from './memory.ts'
import {
  devicesOf,
  isPlanned,
  needsPlan,
  noteAnswers,
  noteMeasured,
  planDueAtMs,
  planIfDue,
  planNoLongerFits,
  settledAtMs,
  wantPlan,
} from './planning.ts'
import { ask, hearAnswer, hungUp, lookAfterQuestions, questionsDueAtMs } from './questions.ts'
import {
  closeCodes,
  seatKeptMs,
  seatOf,
  type ConnectionId,
  type Effect,
  type Join,
  type Room,
  type RoomEvent,
  type Seat,
} from './room-state.ts'
import { considerUnreachable } from './unreachable.ts'

/** Joins and plans are told at once, unless the last view left this moment. */
const urgentGapMs = 50
/** Progress is told five times a second. */
const progressGapMs = 200

/** @returns the room afterwards, null once nobody is here or away any more; `before` is left as it was */
export function step(
  before: Room,
  event: RoomEvent,
  plan: Planner,
): { room: Room | null; effects: Effect[] } {
  const room = copyOf(before)
  const effects: Effect[] = []
  happen(room, event, effects)
  giveUpSeats(room, event.atMs)
  lookAfterQuestions(room, event.atMs, effects)
  settle(room, event.atMs)
  const { numbered, noPlan, planning } = room
  planIfDue(room, event.atMs, plan)
  const planned = room.numbered !== numbered || room.noPlan !== noPlan || room.planning !== planning
  if (planned) tell(room, event.atMs, urgentGapMs)
  showView(room, event, effects)
  return { room: room.seats.length === 0 ? null : room, effects }
}

/** What a step may change: the room and its seats. Choices, plans, profiles and questions are replaced, never written to. */
const copyOf = (room: Room): Room => ({ ...room, seats: room.seats.map((seat) => ({ ...seat })) })

/** When time alone will next change something; null when it will not. */
export function wakeAtMs(room: Room): number | null {
  const moments = [
    ...room.seats.map((seat) => (seat.presence.phase === 'away' ? seat.presence.untilMs : null)),
    room.settlesAtMs,
    planDueAtMs(room),
    settledAtMs(room),
    questionsDueAtMs(room),
    room.viewDueAtMs,
  ].filter((moment) => moment !== null)
  return moments.length === 0 ? null : Math.min(...moments)
}

export function viewOf(room: Room): RoomView {
  return {
    devices: room.seats.map(({ device, name, presence, profile, status }) => ({
      device,
      name,
      presence: presence.phase,
      profile,
      status,
    })),
    choice: room.choice,
    numbered: room.numbered,
    noPlan: room.noPlan,
    planning: room.planning !== null,
  }
}

function happen(room: Room, event: RoomEvent, effects: Effect[]): void {
  if (event.type === 'time') return
  if (event.type === 'join') return join(room, event.connection, event.message, event.atMs, effects)
  if (event.type === 'asked') return ask(room, event.question, event.asked, event.atMs, effects)
  if (event.type === 'hung-up') return hungUp(room, event.question, effects)
  const seat = seatOf(room, event.connection)
  if (!seat) return
  if (event.type === 'message') return hear(room, seat, event.message, event.atMs, effects)
  seat.presence = { phase: 'away', sinceMs: event.atMs, untilMs: event.atMs + seatKeptMs }
  tell(room, event.atMs, urgentGapMs)
}

function join(room: Room, connection: ConnectionId, message: Join, atMs: number, effects: Effect[]): void {
  const known = room.seats.find((seat) => seat.device === message.device)
  if (!known && room.seats.length >= maxDevices) {
    effects.push(
      ...refuse(
        connection,
        'room-full',
        `This room has ${maxDevices} devices, which is as many as it holds. Close Hearth on one of them and try again in half a minute.`,
      ),
    )
    return
  }
  if (known?.presence.phase === 'here' && known.presence.connection !== connection) {
    effects.push({
      type: 'close',
      connection: known.presence.connection,
      code: closeCodes.replaced,
      reason: 'This device joined again on another connection.',
    })
  }
  const seat: Seat = {
    device: message.device,
    name: message.name,
    presence: { phase: 'here', connection },
    profile: message.profile ? { ...message.profile, device: message.device } : (known?.profile ?? null),
    status: message.status,
    door: message.door,
    leftOut: false,
    complaints: [],
  }
  if (known) Object.assign(known, seat)
  else room.seats.push(seat)
  if (message.mayOpen && message.memory) recall(room, message.memory, atMs)
  if (needsPlan(room) || planNoLongerFits(room, seat)) wantPlan(room, atMs)
  tell(room, atMs, urgentGapMs)
}

function hear(
  room: Room,
  seat: Seat,
  message: Exclude<FromDevice, Join>,
  atMs: number,
  effects: Effect[],
): void {
  if (seat.leftOut && needsPlan(room)) {
    // The others cannot do without it, and it is awake again.
    seat.leftOut = false
    wantPlan(room, atMs)
  }
  switch (message.type) {
    case 'profile': {
      const before = seat.profile
      seat.profile = { ...message.profile, device: seat.device }
      if (needsPlan(room) || planNoLongerFits(room, seat)) wantPlan(room, atMs)
      noteMeasured(room, before, seat.profile, atMs)
      return tell(room, atMs, progressGapMs)
    }
    case 'status':
      noteAnswers(room, seat, message.status, atMs)
      seat.status = message.status
      return tell(room, atMs, progressGapMs)
    case 'rename':
      seat.name = message.name
      return tell(room, atMs, progressGapMs)
    case 'choose':
      choose(room, message.choice, atMs)
      return tell(room, atMs, urgentGapMs)
    case 'signal': {
      const target = room.seats.find(({ device }) => device === message.to)
      if (target && target !== seat && target.presence.phase === 'here') {
        const relayed: FromServer = { type: 'signal', from: seat.device, sealed: message.sealed }
        effects.push({ type: 'send', to: target.presence.connection, message: relayed })
      }
      return
    }
    case 'unreachable':
      if (considerUnreachable(room, seat, message.device, atMs)) wantPlan(room, atMs)
      return
    case 'door':
      seat.door = { ...seat.door, isOpen: message.isOpen }
      return
    case 'answer':
    case 'answer-done':
    case 'answer-failed':
      return hearAnswer(room, seat, message, atMs, effects)
    case 'leave':
      return removeSeats(room, (each) => each === seat, atMs)
  }
}

/** Choosing again is how a person says "use everybody who is here now, and try again". */
function choose(room: Room, choice: ModelChoice, atMs: number): void {
  if (JSON.stringify(choice) !== JSON.stringify(room.choice)) {
    room.choice = choice
    room.numbered = null
  }
  for (const seat of room.seats) {
    seat.leftOut = false
    seat.complaints = []
  }
  room.settlesAtMs = null
  room.chosenAtMs = atMs
  wantPlan(room, atMs)
}

function removeSeats(room: Room, gone: (seat: Seat) => boolean, atMs: number): void {
  const leaving = room.seats.filter(gone)
  if (leaving.length === 0) return
  room.seats = room.seats.filter((seat) => !gone(seat))
  const planBroke = leaving.some(({ device }) => isPlanned(room, device))
  if (planBroke || needsPlan(room)) wantPlan(room, atMs)
  tell(room, atMs, urgentGapMs)
}

const giveUpSeats = (room: Room, atMs: number): void =>
  removeSeats(room, ({ presence }) => presence.phase === 'away' && presence.untilMs <= atMs, atMs)

/** Ends the time that devices had to measure, and those of a remembered plan to come back. */
function settle(room: Room, atMs: number): void {
  const measuredByMs = settledAtMs(room)
  if (measuredByMs !== null && measuredByMs <= atMs) {
    room.measuredAtMs = null
    if (room.numbered) wantPlan(room, atMs)
  }
  if (room.settlesAtMs === null || room.settlesAtMs > atMs) return
  room.settlesAtMs = null
  const seated = new Set(room.seats.map(({ device }) => device))
  const plan = room.numbered?.plan
  if (plan && [...devicesOf(plan)].some((device) => !seated.has(device))) wantPlan(room, atMs)
}

/** Notes a change for the devices, due `gapMs` after the last view they got, or with one that is due sooner. */
function tell(room: Room, atMs: number, gapMs: number): void {
  const dueAtMs = Math.max(atMs, (room.viewSentAtMs ?? -gapMs) + gapMs)
  room.viewDueAtMs = Math.min(room.viewDueAtMs ?? dueAtMs, dueAtMs)
}

/** Shows the room to everybody if that is due, else to a newcomer alone, who has seen nothing yet. */
function showView(room: Room, event: RoomEvent, effects: Effect[]): void {
  const newcomer = event.type === 'join' ? event.connection : null
  const toAll = room.viewDueAtMs !== null && room.viewDueAtMs <= event.atMs
  if (toAll) {
    room.viewDueAtMs = null
    room.viewSentAtMs = event.atMs
  }
  const message: FromServer = { type: 'room', room: viewOf(room) }
  for (const { presence } of room.seats) {
    if (presence.phase === 'here' && (toAll || presence.connection === newcomer)) {
      effects.push({ type: 'send', to: presence.connection, message })
    }
  }
}

/** Says why, then hangs up. */
export const refuse = (
  connection: ConnectionId,
  code: Extract<FromServer, { type: 'refused' }>['code'],
  message: string,
): Effect[] => [
  { type: 'send', to: connection, message: { type: 'refused', code, message } },
  { type: 'close', connection, code: closeCodes.refused, reason: code },
]
