/**
 * A device on a real socket, for tests: says what it is told to and waits for what it hears.
 *
 * @module
 */
import {
  parseFromServer,
  protocolVersion,
  type FromDevice,
  type FromServer,
  type RoomView,
} from '@hearth/engine/protocol'
import { WebSocket } from 'ws'
import type { RunningServer } from './server.ts'
import { id, closedDoor, kitchen, profileOf } from './test-house.ts'

export function connect(
  server: RunningServer,
  join: Partial<Extract<FromDevice, { type: 'join' }>> & { name: string },
) {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws`)
  const heard: FromServer[] = []
  const waiting = new Set<() => void>()
  const say = (message: FromDevice) => socket.send(JSON.stringify(message))
  socket.on('message', (data) => {
    const message = parseFromServer(String(data))
    if (message) heard.push(message)
    for (const look of waiting) look()
  })
  socket.on('open', () =>
    say({
      type: 'join',
      version: protocolVersion,
      room: kitchen,
      device: id(join.name),
      mayOpen: true,
      door: closedDoor,
      profile: profileOf(join.name),
      status: { phase: 'idle' },
      ...join,
    }),
  )
  const closed = new Promise<number>((resolve) => socket.on('close', resolve))
  /** Resolves with the first message for which `find` gives something. */
  const until = <T>(find: (message: FromServer) => T | null | undefined | false): Promise<T> =>
    new Promise((resolve) => {
      const look = () => {
        for (const message of heard) {
          const found = find(message)
          if (!found) continue
          waiting.delete(look)
          return resolve(found)
        }
      }
      waiting.add(look)
      look()
    })
  const untilView = (holds: (room: RoomView) => boolean) =>
    until((message) => message.type === 'room' && holds(message.room) && message.room)
  return { socket, say, closed, until, untilView }
}
