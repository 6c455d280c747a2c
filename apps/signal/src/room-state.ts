/**
 * What a server knows of one room, as plain JSON, and the words for what happens to it.
 *
 * @module
 */
import type { DeviceId, DeviceProfile } from '@hearth/halda'
import { replacedCloseCode } from '@hearth/engine/protocol'
import type {
  DeviceStatus,
  FromDevice,
  FromServer,
  GenerateStats,
  ModelChoice,
  NumberedPlan,
  QuestionId,
} from '@hearth/engine/protocol'

/** Names one socket for as long as it lives. */
export type ConnectionId = string & { readonly __brand: 'ConnectionId' }

/** A device's place in the room, in the order they joined. */
export type Seat = {
  device: DeviceId
  name: string
  presence:
    | { phase: 'here'; connection: ConnectionId }
    /** Its socket closed; the seat is kept until then, for a reload. */
    | { phase: 'away'; sinceMs: number; untilMs: number }
  profile: DeviceProfile | null
  status: DeviceStatus
  door: Join['door']
  /** The others could not reach it: it is not planned with for now, see unreachable.ts. */
  leftOut: boolean
  /** Who said lately that it does not answer. */
  complaints: { from: DeviceId; atMs: number }[]
}

/** What a program asks. */
export type Asked = Pick<Extract<FromServer, { type: 'question' }>, 'messages' | 'options' | 'stop'>

/** A question of a program while it is being answered. */
export type Question = Asked & {
  readonly id: QuestionId
  /** The device whose door it came through; another page of the same device knows nothing of it. */
  readonly carrier: ConnectionId
  /** Words of the answer are out: no other device could go on with it. */
  readonly isBegun: boolean
  readonly heardAtMs: number
}

/** What a program is told of its answer; nothing comes after 'done' or 'failed'. */
export type AnswerPiece =
  /** Empty as a sign that the answer is still awaited. */
  | { type: 'text'; text: string }
  | { type: 'done'; stats: GenerateStats }
  | { type: 'failed'; code: FailureCode; message: string }
export type FailureCode =
  | Extract<FromDevice, { type: 'answer-failed' }>['code']
  | 'no-door'
  | 'busy'
  | 'carrier-left'
  | 'silent'

export type Room = {
  seats: Seat[]
  questions: readonly Question[]
  choice: ModelChoice | null
  numbered: NumberedPlan | null
  noPlan: string | null
  /** Newest number that any plan of this room has had; 0 before the first. */
  lastNumber: number
  /** A plan is wanted; devices that are away or not yet measured are waited for until then. */
  planning: { untilMs: number } | null
  plannedAtMs: number | null
  /** When a person last chose what the room runs. */
  chosenAtMs: number | null
  /** Since the plan was made, a device told that it is faster or slower than it was taken to be. */
  measuredAtMs: number | null
  /** After a restart of the server: how long devices of the remembered plan may take to come back. */
  settlesAtMs: number | null
  viewSentAtMs: number | null
  /** A change that the devices have not been told; told then. */
  viewDueAtMs: number | null
}

export type Join = Extract<FromDevice, { type: 'join' }>

export type RoomEvent = { atMs: number } & (
  | { type: 'join'; connection: ConnectionId; message: Join }
  | { type: 'message'; connection: ConnectionId; message: Exclude<FromDevice, Join> }
  | { type: 'closed'; connection: ConnectionId }
  | { type: 'asked'; question: QuestionId; asked: Asked }
  /** The program waits no more. */
  | { type: 'hung-up'; question: QuestionId }
  | { type: 'time' }
)

export type Effect =
  | { type: 'send'; to: ConnectionId; message: FromServer }
  | { type: 'close'; connection: ConnectionId; code: number; reason: string }
  | { type: 'answer'; question: QuestionId; piece: AnswerPiece }

/** WebSocket close codes (RFC 6455 §7.4): 1008 is "policy violation", 4000 and up are an application's own. */
export const closeCodes = {
  refused: 1008,
  /** The same device joined on another connection. Connecting again would only push that one out. */
  replaced: replacedCloseCode,
} as const

/** A reload, a phone that changes from Wi-Fi to mobile and back, a restart of the server. */
export const seatKeptMs = 20_000
export const createRoom = (): Room => ({
  seats: [],
  questions: [],
  choice: null,
  numbered: null,
  noPlan: null,
  lastNumber: 0,
  planning: null,
  plannedAtMs: null,
  chosenAtMs: null,
  measuredAtMs: null,
  settlesAtMs: null,
  viewSentAtMs: null,
  viewDueAtMs: null,
})

export const seatOf = (room: Room, connection: ConnectionId): Seat | undefined =>
  room.seats.find((seat) => seat.presence.phase === 'here' && seat.presence.connection === connection)
