/**
 * Every connection and every room of one server: who may enter, what is a message, what is too much. Rooms do not
 * know each other; what happens inside one is `room.ts`.
 *
 * No sockets, no clock, no chance here either: events in, effects out, and {@link Rooms.wakeAtMs} says when to call
 * again although nothing happened.
 *
 * @module
 */
import { timingSafeEqual } from 'node:crypto'
import type { Planner } from '@hearth/halda'
import {
  parseFromDevice,
  protocolVersion,
  type FromDevice,
  type ModelChoice,
  type QuestionId,
  type RoomId,
} from '@hearth/engine/protocol'
import { doorsOf } from './questions.ts'
import { charRate, emptyBucket, messageRate, pour, tooLarge, type Bucket } from './limits.ts'
import {
  createRoom,
  seatOf,
  type Asked,
  type ConnectionId,
  type Effect,
  type Join,
  type Room,
  type RoomEvent,
} from './room-state.ts'
import { refuse, step, wakeAtMs } from './room.ts'

export type RoomsEvent = { atMs: number } & (
  | { type: 'opened'; connection: ConnectionId }
  /** `text` is whatever arrived. */
  | { type: 'message'; connection: ConnectionId; text: unknown }
  | { type: 'closed'; connection: ConnectionId }
  | { type: 'asked'; room: RoomId; question: QuestionId; asked: Asked }
  | { type: 'hung-up'; room: RoomId; question: QuestionId }
  | { type: 'time' }
)

/** What programs may know of a room whose key they have. */
export type FoundRoom = {
  room: RoomId
  /** A device is here whose person lets programs in. */
  hasDoor: boolean
  choice: ModelChoice | null
  chosenAtMs: number | null
}

export interface Rooms {
  handle(event: RoomsEvent): Effect[]
  /** @param keyHash of an API key, as in `join`; compared in constant time */
  find(keyHash: string): FoundRoom | null
  /** When `{ type: 'time' }` is due; null when nothing is waited for. */
  wakeAtMs(): number | null
  count(): { rooms: number; devices: number }
}

type Connection = {
  /** The room that it has a seat in. */
  room: RoomId | null
  /** A connection without a room is closed then. */
  joinByMs: number
  /** Messages that were none. */
  strikes: number
  messages: Bucket
  chars: Bucket
}

/** From the socket's opening to `join`, on a slow phone. */
const joinWithinMs = 15_000
const maxStrikes = 3

const malformed = `A message that this server does not understand came from this device, ${maxStrikes} times. Reload the page; if that does not help, the page and the server are of different versions.`

export function createRooms(plan: Planner): Rooms {
  const rooms = new Map<RoomId, Room>()
  const connections = new Map<ConnectionId, Connection>()

  function handle(event: RoomsEvent): Effect[] {
    const effects = happen(event)
    for (const effect of effects) if (effect.type === 'close') connections.delete(effect.connection)
    return effects
  }

  function happen(event: RoomsEvent): Effect[] {
    const { atMs } = event
    if (event.type === 'time') return passTime(atMs)
    if (event.type === 'asked' || event.type === 'hung-up') {
      // A room that is gone since the program found it is one without a door.
      return keep(event.room, step(rooms.get(event.room) ?? createRoom(), event, plan))
    }
    const id = event.connection
    if (event.type === 'opened') {
      connections.set(id, {
        room: null,
        joinByMs: atMs + joinWithinMs,
        strikes: 0,
        messages: emptyBucket(atMs),
        chars: emptyBucket(atMs),
      })
      return []
    }
    const connection = connections.get(id)
    if (!connection) return []
    if (event.type === 'message') return hear(id, connection, event.text, atMs)
    connections.delete(id)
    return toRoom(connection, { type: 'closed', connection: id, atMs })
  }

  function hear(id: ConnectionId, connection: Connection, text: unknown, atMs: number): Effect[] {
    if (!withinRates(connection, text, atMs)) {
      return hangUp(
        id,
        connection,
        atMs,
        `This device sends more than ${messageRate.perSec} messages a second. Reload the page.`,
      )
    }
    const version = typeof text === 'string' ? joinVersion(text) : null
    if (version !== null && version !== protocolVersion) return refuseVersion(id, connection, version, atMs)
    const message = parseFromDevice(text)
    if (
      !message ||
      isReserved(message) ||
      tooLarge(message) ||
      (message.type !== 'join' && !connection.room)
    ) {
      connection.strikes += 1
      return connection.strikes < maxStrikes ? [] : hangUp(id, connection, atMs, malformed)
    }
    if (message.type === 'join') return join(id, connection, message, atMs)
    const effects = toRoom(connection, { type: 'message', message, connection: id, atMs })
    if (message.type === 'leave') {
      connection.room = null
      connection.joinByMs = atMs + joinWithinMs
    }
    return effects
  }

  function join(id: ConnectionId, connection: Connection, message: Join, atMs: number): Effect[] {
    const effects = leaveOther(id, connection, message, atMs)
    const room = rooms.get(message.room) ?? (message.mayOpen ? createRoom() : null)
    if (!room) {
      return [
        ...effects,
        ...refuse(
          id,
          'no-room',
          'This link leads to no room: it was mistyped, or everybody has left. Ask for a fresh link, or start a new room.',
        ),
      ]
    }
    connection.room = message.room
    rooms.set(message.room, room)
    return [...effects, ...toRoom(connection, { type: 'join', message, connection: id, atMs })]
  }

  /** A connection has one seat: joining elsewhere, or as somebody else, gives up the one it had. */
  function leaveOther(id: ConnectionId, connection: Connection, message: Join, atMs: number): Effect[] {
    const room = connection.room && rooms.get(connection.room)
    if (!room) return []
    if (connection.room === message.room && seatOf(room, id)?.device === message.device) return []
    return toRoom(connection, { type: 'message', message: { type: 'leave' }, connection: id, atMs })
  }

  function toRoom(connection: Connection, event: RoomEvent): Effect[] {
    const room = connection.room && rooms.get(connection.room)
    if (!connection.room || !room) return []
    return keep(connection.room, step(room, event, plan))
  }

  function keep(id: RoomId, after: { room: Room | null; effects: Effect[] }): Effect[] {
    if (after.room) rooms.set(id, after.room)
    else rooms.delete(id)
    return after.effects
  }

  function passTime(atMs: number): Effect[] {
    const effects: Effect[] = []
    for (const [id, room] of rooms) {
      if ((wakeAtMs(room) ?? Infinity) <= atMs)
        effects.push(...keep(id, step(room, { type: 'time', atMs }, plan)))
    }
    for (const [id, { room, joinByMs }] of connections) {
      if (!room && joinByMs <= atMs) {
        effects.push(
          ...refuse(
            id,
            'malformed',
            'This device connected and did not say which room it wants. Reload the page.',
          ),
        )
      }
    }
    return effects
  }

  /** Refuses a connection that may have a seat; the seat is kept as after any closed socket. */
  function hangUp(id: ConnectionId, connection: Connection, atMs: number, sentence: string): Effect[] {
    return [
      ...refuse(id, 'malformed', sentence),
      ...toRoom(connection, { type: 'closed', connection: id, atMs }),
    ]
  }

  function refuseVersion(id: ConnectionId, connection: Connection, version: number, atMs: number): Effect[] {
    const older =
      version < protocolVersion ? 'page is older than the server' : 'server is older than the page'
    const next =
      version < protocolVersion ? 'Reload the page.' : 'Update and restart the server, then reload.'
    const sentence = `This ${older}: they speak versions ${version} and ${protocolVersion} of the protocol. ${next}`
    return [
      ...refuse(id, 'version', sentence),
      ...toRoom(connection, { type: 'closed', connection: id, atMs }),
    ]
  }

  function earliestWake(): number | null {
    let earliest = Infinity
    for (const room of rooms.values()) earliest = Math.min(earliest, wakeAtMs(room) ?? Infinity)
    for (const { room, joinByMs } of connections.values()) {
      if (!room) earliest = Math.min(earliest, joinByMs)
    }
    return earliest === Infinity ? null : earliest
  }

  return {
    handle,
    wakeAtMs: earliestWake,
    find(keyHash) {
      for (const [id, room] of rooms) {
        const seats = room.seats.filter(({ door }) => isSame(door.keyHash, keyHash))
        if (seats.length === 0) continue
        const { choice, chosenAtMs } = room
        return { room: id, hasDoor: doorsOf(room).some((seat) => seats.includes(seat)), choice, chosenAtMs }
      }
      return null
    },
    count() {
      let devices = 0
      for (const room of rooms.values()) devices += room.seats.length
      return { rooms: rooms.size, devices }
    },
  }
}

const isSame = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

function withinRates(connection: Connection, text: unknown, atMs: number): boolean {
  const length = typeof text === 'string' ? text.length : charRate.perSec
  const messages = pour(connection.messages, 1, atMs, messageRate)
  const chars = pour(connection.chars, length, atMs, charRate)
  if (!messages || !chars) return false
  connection.messages = messages
  connection.chars = chars
  return true
}

/** The version that a `join` names, whatever else another version's `join` may look like. */
function joinVersion(text: string): number | null {
  // Joins are few and the other messages many: this spares them a second parse.
  if (!text.includes('"join"')) return null
  try {
    const { type, version } = JSON.parse(text) as { type?: unknown; version?: unknown }
    return type === 'join' && typeof version === 'number' ? version : null
  } catch {
    return null
  }
}

/** An id such as 'constructor' is found in every table keyed by device, whether or not it was put there. */
const isReserved = (message: FromDevice): boolean => message.type === 'join' && message.device in {}
