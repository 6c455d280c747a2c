/**
 * Devices and a clock for the tests of rooms: what devices say goes through {@link Rooms.handle} as text, and what
 * they are told is read by the parser that they use.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { DeviceId, DeviceProfile, ModelProfile, Planner } from '@hearth/halda'
import {
  parseFromServer,
  protocolVersion,
  type FromDevice,
  type FromServer,
  type ModelChoice,
  type QuestionId,
  type RoomId,
  type RoomView,
} from '@hearth/engine/protocol'
import type { AnswerPiece, ConnectionId } from './room-state.ts'
import { createRooms } from './rooms.ts'

export const id = (name: string) => `${name}-tablet` as DeviceId
export const kitchen = 'kitchen-0123456789abcdef' as RoomId
export const attic = 'attic-0123456789abcdefgh' as RoomId

/** The key of a room for programs, and what devices tell the server of it. */
export const keyOf = (room: string) => `hearth-${room}`
export const keyHashOf = (room: string) => createHash('sha256').update(keyOf(room)).digest('base64url')

export const closedDoor = { keyHash: keyHashOf('kitchen'), isOpen: false }

export const profileOf = (name: string, memoryBytes = 4e9): DeviceProfile => ({
  device: id(name),
  memoryBytes,
  weightBytesPerSec: { Q8_0: 4e9 },
  diskReadBytesPerSec: 1e9,
  hopMs: {},
  defaultHopMs: 3,
})

export const modelOf = (name: string, nLayers = 12): ModelProfile => ({
  name,
  nLayers,
  dim: 64,
  layerBytes: Array.from({ length: nLayers }, () => ({ Q8_0: 10_000_000 })),
  outputBytes: { Q8_0: 5_000_000 },
  embeddingBytes: 5_000_000,
  tiedOutput: false,
  kvBytesPerPosition: 256,
  contextLength: 1024,
})

export const choiceOf = (name: string, nLayers?: number): ModelChoice => {
  const { layerBytes, ...profile } = modelOf(name, nLayers)
  return {
    model: { name, url: `/models/${name}.gguf`, sizeBytes: 130_000_000, revision: '"1"' },
    profile: { ...profile, layerBytes: [...layerBytes] },
    request: { split: 'fastest' },
  }
}

/** Leaves nobody out, unlike the planner of a real room: who takes part is what these tests look at. */
export const everybody: Planner = (devices, model) => {
  const sorted = devices.map(({ device }) => device).sort()
  const [head] = sorted
  if (!head || sorted.length > model.nLayers) {
    return { ok: false, code: 'no-plan', message: `${model.name} does not fit.` }
  }
  const share = Math.floor(model.nLayers / sorted.length)
  const windows = sorted.map((device, i) => ({
    device,
    firstLayer: i * share,
    layers: i === sorted.length - 1 ? model.nLayers - i * share : share,
    gpuLayers: 0,
  }))
  return { ok: true, plan: { head, rounds: 1, windows, predictedTpotMs: 10 } }
}

type JoinOptions = Partial<Omit<Extract<FromDevice, { type: 'join' }>, 'type' | 'device'>>

export function createHouse(plan: Planner = everybody) {
  let rooms = createRooms(plan)
  let nowMs = 1_000_000
  let opened = 0
  const inboxes = new Map<ConnectionId, FromServer[]>()
  const closed = new Map<ConnectionId, number>()
  const answers = new Map<QuestionId, AnswerPiece[]>()

  function handle(event: Parameters<typeof rooms.handle>[0]): void {
    for (const effect of rooms.handle(event)) {
      if (effect.type === 'answer') {
        answers.set(effect.question, [...(answers.get(effect.question) ?? []), effect.piece])
        continue
      }
      const connection = effect.type === 'send' ? effect.to : effect.connection
      const inbox = inboxes.get(connection)
      if (!inbox || closed.has(connection)) throw new Error(`${effect.type} to ${connection}, which is gone`)
      if (effect.type === 'close') closed.set(connection, effect.code)
      else {
        const received = parseFromServer(JSON.stringify(effect.message))
        if (!received) throw new Error(`no device can read ${JSON.stringify(effect.message).slice(0, 200)}`)
        inbox.push(received)
      }
    }
  }

  const house = {
    handle,
    now: () => nowMs,
    count: () => rooms.count(),
    wakeAtMs: () => rooms.wakeAtMs(),

    open(): ConnectionId {
      const connection = `c${++opened}` as ConnectionId
      inboxes.set(connection, [])
      handle({ type: 'opened', connection, atMs: nowMs })
      return connection
    },
    sayText: (connection: ConnectionId, text: unknown): void =>
      handle({ type: 'message', connection, text, atMs: nowMs }),
    say: (connection: ConnectionId, message: FromDevice): void =>
      house.sayText(connection, JSON.stringify(message)),

    /** Opens a connection and joins as `name`, measured already unless `profile` says otherwise. */
    join(name: string, options: JoinOptions = {}, connection: ConnectionId = house.open()): ConnectionId {
      house.say(connection, {
        type: 'join',
        version: protocolVersion,
        room: kitchen,
        device: id(name),
        name,
        mayOpen: true,
        door: closedDoor,
        profile: profileOf(name),
        status: { phase: 'idle' },
        ...options,
      })
      return connection
    },
    /** Joins without having measured. */
    joinUnmeasured(name: string, options: JoinOptions = {}): ConnectionId {
      const connection = house.open()
      const join = { type: 'join', version: protocolVersion, room: kitchen, device: id(name), name }
      house.sayText(
        connection,
        JSON.stringify({
          ...join,
          mayOpen: true,
          door: closedDoor,
          status: { phase: 'idle' },
          ...options,
        }),
      )
      return connection
    },
    close(connection: ConnectionId): void {
      closed.set(connection, 1006)
      handle({ type: 'closed', connection, atMs: nowMs })
    },

    /** Lets time pass, waking the rooms whenever they asked for it. */
    pass(ms: number): void {
      const untilMs = nowMs + ms
      for (let wakes = 0; ; wakes++) {
        const wakeAtMs = rooms.wakeAtMs()
        if (wakeAtMs === null || wakeAtMs > untilMs) break
        if (wakes > 1000) throw new Error('the rooms ask to be woken again and again')
        nowMs = Math.max(nowMs, wakeAtMs)
        handle({ type: 'time', atMs: nowMs })
      }
      nowMs = untilMs
    },

    /** A program asks the kitchen. */
    ask(name: string, content = 'Hello'): QuestionId {
      const question = `question-${name}` as QuestionId
      const options = { maxTokens: 10, temperature: 0, topP: 1, seed: 0 }
      const asked = { messages: [{ role: 'user' as const, content }], options, stop: [] }
      handle({ type: 'asked', room: kitchen, question, asked, atMs: nowMs })
      return question
    },
    hangUp: (question: QuestionId): void => handle({ type: 'hung-up', room: kitchen, question, atMs: nowMs }),
    /** What the program was told so far. */
    told: (question: QuestionId): readonly AnswerPiece[] => answers.get(question) ?? [],
    find: (keyHash: string) => rooms.find(keyHash),

    /** Forgets everything, as a new process does. Every socket is gone. */
    restart(): void {
      rooms = createRooms(plan)
      for (const connection of inboxes.keys()) closed.set(connection, 1006)
    },

    inbox: (connection: ConnectionId): readonly FromServer[] => inboxes.get(connection) ?? [],
    closeCode: (connection: ConnectionId) => closed.get(connection) ?? null,
    views: (connection: ConnectionId): RoomView[] =>
      house.inbox(connection).flatMap((message) => (message.type === 'room' ? [message.room] : [])),
    view(connection: ConnectionId): RoomView {
      const view = house.views(connection).at(-1)
      if (!view) throw new Error(`${connection} has not been shown a room`)
      return view
    },
    refusal: (connection: ConnectionId): FromServer | null =>
      house.inbox(connection).find((message) => message.type === 'refused') ?? null,
    signals: (connection: ConnectionId): FromServer[] =>
      house.inbox(connection).filter((message) => message.type === 'signal'),
  }
  return house
}

/** Names of the devices that run layers, sorted. */
export const plannedIn = (view: RoomView): string[] =>
  [...new Set(view.numbered?.plan.windows.map(({ device }) => device.replace('-tablet', '')))].sort()

/** Alice, bob and charlie in one room that runs a model by plan number 1. */
export function planned() {
  const house = createHouse()
  const alice = house.join('alice')
  const bob = house.join('bob')
  const charlie = house.join('charlie')
  house.say(alice, { type: 'choose', choice: choiceOf('demo') })
  house.pass(100)
  return { house, alice, bob, charlie }
}

/** Plans for two devices and more. */
export const needsTwo: Planner = (devices, model) =>
  devices.length < 2
    ? { ok: false, code: 'no-plan', message: 'One device is too few.' }
    : everybody(devices, model)

/** Everybody in the room, in the order they joined. */
export const namesIn = (view: RoomView): string[] => view.devices.map(({ name }) => name)
