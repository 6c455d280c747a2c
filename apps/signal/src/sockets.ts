/**
 * Rooms on real sockets: turns what arrives into events, carries out effects, keeps the clock.
 *
 * @module
 */
import { WebSocket, WebSocketServer } from 'ws'
import type { WSContext, WSEvents } from 'hono/ws'
import { maxMessageChars, type QuestionId, type RoomId } from '@hearth/engine/protocol'
import type { AnswerPiece, Asked, ConnectionId } from './room-state.ts'
import type { Rooms, RoomsEvent } from './rooms.ts'

export interface Sockets {
  /** Does the WebSocket protocol; handed to the HTTP server. */
  server: WebSocketServer
  /** False when there are as many connections as this server bears. */
  hasSpace(): boolean
  /** What one new connection does. */
  events(): WSEvents<unknown>
  /**
   * A program asks a room.
   *
   * @param onpiece told all of the answer, 'done' or 'failed' last
   * @returns what to call when the program waits no more
   */
  ask(room: RoomId, question: QuestionId, asked: Asked, onpiece: (piece: AnswerPiece) => void): () => void
  close(): Promise<void>
}

const maxConnections = 1024
/** A socket that did not answer one ping by the time of the next is dead: noticed after 5 to 10 s. */
const pingEveryMs = 5_000
/** What a device has not taken off the wire by then, it never will: eight of the largest views. */
const maxBufferedBytes = 8 * maxMessageChars
/** WebSocket close code "going away" (RFC 6455 §7.4.1). */
const goingAway = 1001

export function createSockets(rooms: Rooms): Sockets {
  // A message of n characters has n bytes or more, so none that the protocol takes is cut off here.
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: maxMessageChars,
    perMessageDeflate: false,
  })
  const sockets = new Map<ConnectionId, WSContext<unknown>>()
  const programs = new Map<QuestionId, (piece: AnswerPiece) => void>()
  let opened = 0
  let wake: ReturnType<typeof setTimeout> | undefined
  let closed = false

  function handle(event: RoomsEvent): void {
    for (const effect of rooms.handle(event)) {
      if (effect.type === 'send') send(effect.to, JSON.stringify(effect.message))
      else if (effect.type === 'answer') tell(effect.question, effect.piece)
      else sockets.get(effect.connection)?.close(effect.code, effect.reason)
    }
    clearTimeout(wake)
    const wakeAtMs = rooms.wakeAtMs()
    if (closed || wakeAtMs === null) return
    wake = setTimeout(
      () => handle({ type: 'time', atMs: nowMs() }),
      Math.max(0, Math.ceil(wakeAtMs - nowMs())),
    )
    wake.unref()
  }

  function send(to: ConnectionId, text: string): void {
    const socket = sockets.get(to)
    if (socket?.readyState !== WebSocket.OPEN) return
    socket.send(text)
    if (socket.raw instanceof WebSocket && socket.raw.bufferedAmount > maxBufferedBytes)
      socket.raw.terminate()
  }

  function tell(question: QuestionId, piece: AnswerPiece): void {
    const onpiece = programs.get(question)
    if (piece.type !== 'text') programs.delete(question)
    onpiece?.(piece)
  }

  const silent = new WeakSet<WebSocket>()
  server.on('connection', (socket) => socket.on('pong', () => silent.delete(socket)))
  const heartbeat = setInterval(() => {
    for (const socket of server.clients) {
      if (silent.has(socket)) socket.terminate()
      silent.add(socket)
      socket.ping()
    }
  }, pingEveryMs)
  heartbeat.unref()

  return {
    server,
    hasSpace: () => sockets.size < maxConnections,
    events() {
      const connection = `connection ${++opened}` as ConnectionId
      return {
        onOpen(_, socket) {
          sockets.set(connection, socket)
          handle({ type: 'opened', connection, atMs: nowMs() })
        },
        onMessage: ({ data }) => handle({ type: 'message', connection, text: data, atMs: nowMs() }),
        onClose() {
          sockets.delete(connection)
          handle({ type: 'closed', connection, atMs: nowMs() })
        },
      }
    },
    ask(room, question, asked, onpiece) {
      programs.set(question, onpiece)
      handle({ type: 'asked', room, question, asked, atMs: nowMs() })
      return () => {
        if (programs.delete(question)) handle({ type: 'hung-up', room, question, atMs: nowMs() })
      }
    },
    async close() {
      closed = true
      clearInterval(heartbeat)
      clearTimeout(wake)
      const clients = [...server.clients]
      const gone = clients.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
      for (const socket of clients) socket.close(goingAway, 'The server is closing.')
      const impatience = setTimeout(() => clients.forEach((socket) => socket.terminate()), 500)
      await Promise.all(gone)
      clearTimeout(impatience)
    },
  }
}

/** Milliseconds since 1970, by a clock that never goes back. */
const nowMs = (): number => performance.timeOrigin + performance.now()
