/**
 * This device in one room, from entering to leaving: the socket to the server, a connection to every other device, and
 * the introductions between them, sealed.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'
import {
  protocolVersion,
  type ControlMessage,
  type FromDevice,
  type FromServer,
  type RoomView,
} from '../protocol.ts'
import type { Connection } from './cluster.ts'
import type { FromProgram } from './door.ts'
import type { EngineWorker } from './engine-worker.ts'
import { seal, unseal, type RoomKeys } from './join-secret.ts'
import { createMesh, type LinkPhase, type Mesh } from './mesh.ts'
import type { Remembered } from './remembered.ts'
import { createSignalSocket } from './signal-socket.ts'

type Join = Extract<FromDevice, { type: 'join' }>

export type RoomSessionOptions = {
  device: DeviceId
  /** Of the server. */
  origin: string
  keys: RoomKeys
  /** Whether this device made the room. */
  mayOpen: boolean
  /** Whether this browser has WebRTC; without it a device works alone. */
  connects: boolean
  engine: EngineWorker
  remembered: Remembered
  /** What this device says of itself on every connection. */
  introduce(): Pick<Join, 'name' | 'memory' | 'profile' | 'status' | 'door'>
  onroom(room: RoomView): void
  /** A program asks, or waits no more. */
  onquestion(message: FromProgram): void
  onconnection(connection: Connection): void
  onlinks(): void
  onproblem(thrown: unknown): void
}

export interface RoomSession {
  /** Dropped while offline: what matters is said again on the next connection. */
  send(message: FromDevice): void
  sendControl(to: DeviceId, message: ControlMessage): void
  links(room: RoomView | null): Record<DeviceId, LinkPhase>
  /** Tells the other devices that this page goes, and keeps its seat at the server for a reload. */
  hide(): void
  leave(): void
}

export function enterRoom(options: RoomSessionOptions): RoomSession {
  const { device, origin, keys, mayOpen, connects, engine, remembered } = options
  const { introduce, onroom, onquestion, onconnection, onlinks, onproblem } = options
  // Ciphers end in any order, but an offer must come before its candidates.
  let sealing = Promise.resolve()
  let unsealing = Promise.resolve()

  const socket = createSignalSocket({
    url: `${origin.replace(/^http/, 'ws')}/ws`,
    join: () => ({
      type: 'join',
      version: protocolVersion,
      room: keys.room,
      device,
      mayOpen: mayOpen || remembered.wasIn(keys.room),
      ...introduce(),
    }),
    onmessage: receive,
    onreplaced() {
      const message = 'This device is in the room in another window. Close that one and reload this page.'
      onconnection({ phase: 'refused', code: 'replaced', message })
    },
    onphase: onconnection,
  })
  const mesh = connects ? connectDevices() : null

  function connectDevices(): Mesh {
    return createMesh({
      me: device,
      sendSignal(to, signal) {
        sealing = sealing
          .then(async () => socket.send({ type: 'signal', to, sealed: await seal(keys, device, to, signal) }))
          .catch(onproblem)
      },
      onring: engine.handOver,
      oncontrol: (from, message) => engine.send({ type: 'control', from, message }),
      onclosed: (peer) => engine.send({ type: 'peer-closed', peer }),
      onsilent: (peer) => socket.send({ type: 'unreachable', device: peer }),
      onchange: onlinks,
    })
  }

  const othersIn = (room: RoomView) => room.devices.filter((other) => other.device !== device)

  function receive(message: FromServer): void {
    if (message.type === 'room') {
      const { room } = message
      remembered.keepRoom(keys.room)
      onroom(room)
      const here = othersIn(room).filter(({ presence }) => presence === 'here')
      mesh?.update(here.map((other) => other.device))
      engine.send({ type: 'room', room })
    } else if (message.type === 'signal') {
      const { from, sealed } = message
      unsealing = unsealing
        .then(async () => mesh?.receiveSignal(from, await unseal(keys, from, device, sealed)))
        .catch(onproblem)
    } else if (message.type === 'question' || message.type === 'question-stop') {
      onquestion(message)
    } else {
      onconnection({ phase: 'refused', code: message.code, message: message.message })
    }
  }

  return {
    send: socket.send,
    sendControl: (to, message) => mesh?.send(to, message),
    links(room) {
      if (mesh) return mesh.phases()
      const others = room ? othersIn(room) : []
      return Object.fromEntries(others.map((other) => [other.device, 'failed' as const]))
    },
    hide: () => mesh?.close(),
    leave() {
      mesh?.close()
      socket.close(true)
    },
  }
}
