/**
 * Devices in one process, for tests of what they do together: real links, real stores, real HTTP for the weights; the
 * test plays the signal server.
 *
 * @module
 */
import type { DeviceId, LayerWindow } from '@hearth/halda'
import { afterEach } from 'vitest'
import { createReferenceBackend } from '../backend/reference.ts'
import type { ChatMessage, DeviceStatus, GenerateOptions, ModelChoice, RoomView } from '../protocol.ts'
import { parseControlMessage } from '../protocol.ts'
import { createMemoryLinks } from '../ring/memory-link.ts'
import { createMemoryCatalogue } from '../store/memory-catalogue.ts'
import { createMemoryStore } from '../store/memory-store.ts'
import { createInlineReader } from '../store/shard-reader.ts'
import { createRangeServer, type RangeServer } from '../testing/range-server.ts'
import { tinyModel } from '../testing/tiny-model.ts'
import { createDevice, type Device } from './device.ts'
import type { AnswerEvent } from './messages.ts'
import { inspectModel, type ModelPlace } from './open-model.ts'

export const nLayers = 6
export const alice = 'alice-device' as DeviceId
export const bob = 'bob-device' as DeviceId
export const charlie = 'charlie-device' as DeviceId
export const question: ChatMessage[] = [{ role: 'user', content: 'the hearth' }]
export const greedy = { maxTokens: 12, temperature: 0, topP: 1, seed: 0 }

type Member = {
  device: Device
  place: ModelPlace
  status: DeviceStatus
  memoryBytes(): number
  events: AnswerEvent[]
  /** Whom it told the server to wait for no longer than need be. */
  missed: Set<DeviceId>
  fetchedBytes: number
}

let server: RangeServer | undefined
afterEach(async () => {
  await server?.close()
  server = undefined
})

/** What the households of this test run, instead of a model of {@link nLayers} layers; until the test ends. */
export async function serveModel(content: Uint8Array): Promise<RangeServer> {
  return (server = await createRangeServer(content))
}

export type Household = Awaited<ReturnType<typeof createHousehold>>

/** Devices that reach one another, and nothing planned yet. */
export async function createHousehold(ids: DeviceId[], memoryBudgetBytes = 2 ** 30) {
  const source = server ?? (await serveModel(tinyModel({ nLayers, seed: 3 })))
  const members = new Map<DeviceId, Member>()
  let view: Omit<RoomView, 'devices'> = { choice: null, numbered: null, noPlan: null, planning: false }
  const present = new Set(ids)
  const publish = () => {
    const devices = [...members].map(([device, { status }]) => ({
      device,
      name: device.split('-')[0]!,
      presence: present.has(device) ? ('here' as const) : ('away' as const),
      profile: null,
      status,
    }))
    for (const { device } of members.values()) queueMicrotask(() => device.follow({ ...view, devices }))
  }
  const joined = async (me: DeviceId): Promise<Member> => {
    const backend = await createReferenceBackend()
    const member: Member = {
      events: [],
      missed: new Set(),
      memoryBytes: backend.memoryBytes,
      status: { phase: 'idle' },
      fetchedBytes: 0,
      place: {
        shelf: members.get(me)?.place.shelf ?? {
          store: createMemoryStore(),
          catalogue: createMemoryCatalogue(),
        },
        packing: backend.packing,
        origin: new URL(source.url).origin,
        onfetched: (bytes) => (member.fetchedBytes += bytes),
      },
      device: undefined as never,
    }
    member.device = createDevice({
      me,
      dtype: 'f32',
      backend,
      place: member.place,
      reader: createInlineReader(member.place.shelf.store),
      memoryBudgetBytes,
      onstatus(status) {
        member.status = status
        publish()
      },
      sendControl(to, message) {
        const arrived = parseControlMessage(JSON.stringify(message))!
        queueMicrotask(() => members.get(to)?.device.receiveControl(me, arrived))
      },
      onchat: (event) => member.events.push(event),
      onmissed: (device) => member.missed.add(device),
      onholding: () => {},
    })
    members.set(me, member)
    return member
  }
  const connect = (a: DeviceId, b: DeviceId) => {
    const [toB, toA] = createMemoryLinks(() => new Promise((resolve) => setTimeout(resolve)))
    members.get(a)!.device.addLink(b, toB)
    members.get(b)!.device.addLink(a, toA)
  }
  for (const id of ids) await joined(id)
  for (const [i, a] of ids.entries()) for (const b of ids.slice(i + 1)) connect(a, b)

  const choice: ModelChoice = await inspectModel(source.url, members.get(ids[0]!)!.place)
  return {
    members,
    server: source,
    choice,
    member: (id: DeviceId) => members.get(id)!,
    plan(number: number, head: DeviceId, shares: [DeviceId, number][]) {
      let firstLayer = 0
      const windows = shares.map(([device, layers]): LayerWindow => {
        const window = { device, firstLayer, layers, gpuLayers: 0 }
        firstLayer += layers
        return window
      })
      view = {
        choice,
        numbered: { number, plan: { head, rounds: 1, windows, predictedTpotMs: 1 } },
        noPlan: null,
        planning: false,
      }
      publish()
    },
    noPlan() {
      view = { choice, numbered: null, noPlan: 'The devices offer too little memory.', planning: false }
      publish()
    },
    otherModel() {
      const model = { ...choice.model, revision: '"v2"' }
      view = { choice: { ...choice, model }, numbered: null, noPlan: null, planning: true }
      publish()
    },
    /** The device closes its page; the server keeps its seat for a while. */
    leave(id: DeviceId) {
      members.get(id)!.device.close()
      present.delete(id)
      publish()
    },
    /** The server gives its seat up, and does not say so before the next plan. */
    forget: (id: DeviceId) => void members.delete(id),
    /** The device starts anew with what it had stored, as a reloaded tab does. */
    async reload(id: DeviceId) {
      members.get(id)!.device.close()
      await joined(id)
      for (const other of ids) if (other !== id) connect(id, other)
      publish()
    },
    async ready(...devices: DeviceId[]) {
      await until(() => devices.every((id) => members.get(id)!.status.phase === 'ready'))
    },
    async ask(id: DeviceId, messages = question, chat = 'chat-0001', options: GenerateOptions = greedy) {
      const { device, events } = members.get(id)!
      const from = events.length
      device.ask({ type: 'generate', chat, messages, options })
      const ended = () =>
        events
          .slice(from)
          .find(({ type, chat: of }) => of === chat && (type === 'done' || type === 'chat-failed'))
      await until(() => ended() !== undefined)
      const text = events
        .slice(from)
        .map((event) => (event.type === 'token' && event.chat === chat ? event.text : ''))
      return { text: text.join(''), end: ended()! }
    },
  }
}

/** @throws Error that names the condition after ten seconds */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** What one device alone answers: the judge of every ring. */
export async function alone(messages = question) {
  const house = await createHousehold([alice])
  house.plan(1, alice, [[alice, nLayers]])
  await house.ready(alice)
  return house.ask(alice, messages)
}
