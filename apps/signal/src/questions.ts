/**
 * Questions of programs: the server cannot answer, so each is carried into the room by a device whose person has opened
 * its door, and the words come back the same way. Every question ends: with its figures, or with a sentence.
 *
 * When its carrier leaves, a question goes to another one if no word of the answer is out. Afterwards it fails: another
 * device would begin anew, and a program cannot be told to forget.
 *
 * @module
 */
import { maxCarried, type FromDevice, type QuestionId } from '@hearth/engine/protocol'
import {
  seatOf,
  type AnswerPiece,
  type Asked,
  type ConnectionId,
  type Effect,
  type Question,
  type Room,
  type Seat,
} from './room-state.ts'

type FromCarrier = Extract<FromDevice, { type: 'answer' | 'answer-done' | 'answer-failed' }>
type Door = Seat & { presence: { phase: 'here'; connection: ConnectionId } }

/** A carrier says something every 15 s, or once a minute in a hidden tab; one that says nothing is frozen. */
const silenceMs = 120_000

/** Devices that are here and let programs in. */
export const doorsOf = (room: Room): Door[] =>
  room.seats.filter((seat): seat is Door => seat.door.isOpen && seat.presence.phase === 'here')

const carriedBy = (room: Room, { presence }: Door): number =>
  room.questions.filter(({ carrier }) => carrier === presence.connection).length

/** The door through which the fewest go now, and of several the one that came first; none where all are full. */
const freeDoor = (room: Room): Door | undefined =>
  doorsOf(room)
    .filter((seat) => carriedBy(room, seat) < maxCarried)
    .toSorted((a, b) => carriedBy(room, a) - carriedBy(room, b))[0]

const failed = (
  question: QuestionId,
  code: Extract<AnswerPiece, { type: 'failed' }>['code'],
  message: string,
): Effect => ({ type: 'answer', question, piece: { type: 'failed', code, message } })

export function ask(room: Room, id: QuestionId, asked: Asked, atMs: number, effects: Effect[]): void {
  const door = freeDoor(room)
  if (door) return give(room, door, id, asked, atMs, effects)
  const count = doorsOf(room).length
  effects.push(
    count === 0
      ? failed(id, 'no-door', noDoor)
      : failed(
          id,
          'busy',
          `This room answers ${count * maxCarried} questions of programs at once. Ask again when one is done.`,
        ),
  )
}

export const noDoor =
  'No device of this room lets programs in now. On one of them, open Settings, switch on “Let programs ask”, and keep the page open.'

/** @param asked of a new question, or of one whose carrier is gone */
function give(room: Room, door: Door, id: QuestionId, asked: Asked, atMs: number, effects: Effect[]): void {
  const { messages, options, stop } = asked
  room.questions = [
    ...room.questions.filter((question) => question.id !== id),
    { id, carrier: door.presence.connection, isBegun: false, heardAtMs: atMs, messages, options, stop },
  ]
  effects.push({
    type: 'send',
    to: door.presence.connection,
    message: { type: 'question', question: id, messages, options, stop },
  })
}

/** What a device says of questions that it does not carry is nobody's: they ended while it spoke. */
export function hearAnswer(
  room: Room,
  from: Seat,
  message: FromCarrier,
  atMs: number,
  effects: Effect[],
): void {
  const question = room.questions.find(({ id }) => id === message.question)
  if (!question || seatOf(room, question.carrier) !== from) return
  effects.push({ type: 'answer', question: question.id, piece: pieceOf(message) })
  const isBegun = question.isBegun || (message.type === 'answer' && message.text !== '')
  room.questions = room.questions.flatMap((each) => {
    if (each !== question) return [each]
    return message.type === 'answer' ? [{ ...each, isBegun, heardAtMs: atMs }] : []
  })
}

function pieceOf(message: FromCarrier): AnswerPiece {
  switch (message.type) {
    case 'answer':
      return { type: 'text', text: message.text }
    case 'answer-done':
      return { type: 'done', stats: message.stats }
    case 'answer-failed':
      return { type: 'failed', code: message.code, message: message.message }
  }
}

export function hungUp(room: Room, id: QuestionId, effects: Effect[]): void {
  const question = room.questions.find((each) => each.id === id)
  if (question) drop(room, question, effects)
}

function drop(room: Room, question: Question, effects: Effect[]): void {
  room.questions = room.questions.filter((each) => each !== question)
  const { carrier, id } = question
  if (!seatOf(room, carrier)) return
  effects.push({ type: 'send', to: carrier, message: { type: 'question-stop', question: id } })
}

/** Passes on, or ends, what is carried by devices that left, closed their doors or fell silent. */
export function lookAfterQuestions(room: Room, atMs: number, effects: Effect[]): void {
  const carriers = new Set(doorsOf(room).map(({ presence }) => presence.connection))
  for (const question of room.questions) {
    const { id, carrier, isBegun, heardAtMs } = question
    if (!carriers.has(carrier)) {
      drop(room, question, effects)
      const other = isBegun ? undefined : freeDoor(room)
      if (other) give(room, other, id, question, atMs, effects)
      else effects.push(failed(id, 'carrier-left', carrierLeft))
    } else if (heardAtMs + silenceMs <= atMs) {
      drop(room, question, effects)
      effects.push(failed(id, 'silent', silent))
    }
  }
}

const carrierLeft = 'The device that carried this question into the room is gone. Ask again.'
const silent = `Nothing was heard for ${silenceMs / 1000} s of the device that carried this question: its page may be frozen in the background. Bring it to the front and ask again.`

/** When time alone ends a question. */
export const questionsDueAtMs = (room: Room): number | null =>
  room.questions.length === 0
    ? null
    : Math.min(...room.questions.map(({ heardAtMs }) => heardAtMs + silenceMs))
