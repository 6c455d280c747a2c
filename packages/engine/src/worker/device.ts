/**
 * What every device does: follow the room's plan, hold its part of the model, join the ring, and, when it is the head,
 * answer. Knows neither sockets nor threads: a page or a test hands in what it hears and takes what it says.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'
import type { Backend } from '../backend/backend.ts'
import { EngineError, toEngineError } from '../errors.ts'
import type {
  ChatEvent,
  ChatRequest,
  ControlMessage,
  DeviceStatus,
  ModelChoice,
  NumberedPlan,
  RoomView,
} from '../protocol.ts'
import type { Link } from '../ring/link.ts'
import { joinRing, type Ring } from '../ring/ring.ts'
import type { Dtype } from '../wire.ts'
import { createChatService, type ChatService } from './chat-service.ts'
import { openModel, type ModelPlace } from './open-model.ts'
import { createSpeech } from './speech.ts'
import { createWeightsHolder, type WeightsHolder } from './weights-holder.ts'

const progressEveryMs = 200

export type DeviceOptions = {
  me: DeviceId
  dtype: Dtype
  backend: Backend
  place: ModelPlace
  onstatus(status: DeviceStatus): void
  sendControl(to: DeviceId, message: ControlMessage): void
  /** Events of this device's own questions. */
  onchat(event: ChatEvent): void
  /** What the device holds has changed. */
  onholding(): void
}

export interface Device {
  follow(room: RoomView): void
  addLink(peer: DeviceId, link: Link): void
  dropLink(peer: DeviceId): void
  receiveControl(from: DeviceId, message: ControlMessage): void
  ask(request: ChatRequest): void
  /** Key of the model in use, in the store. */
  modelInUse(): string | null
  close(): void
}

/** This device's part in one plan. */
type Part = {
  /** What makes it this plan and no other. */
  key: string
  choice: ModelChoice
  numbered: NumberedPlan
  aborter: AbortController
  state: 'loading' | 'loaded' | 'failed'
  /** Of the shards this device holds. */
  bytes: number
  ring: Ring | null
  chats: ChatService | null
}

export function createDevice(options: DeviceOptions): Device {
  const { me, dtype, backend, place, onstatus, sendControl, onchat, onholding } = options
  const links = new Map<DeviceId, Link>()
  /** Conversations of this device that another head is answering. */
  const asked = new Set<string>()
  let room: RoomView | null = null
  let part: Part | null = null
  let holder: WeightsHolder | null = null
  /** One plan's loading at a time. */
  let loading = Promise.resolve()

  // ── the plan ────────────────────────────────────────────────────────────────────────────────────────────────────

  function follow(next: RoomView): void {
    room = next
    const { choice, numbered } = next
    const key =
      choice &&
      numbered &&
      JSON.stringify([choice.model, numbered.number, numbered.plan.head, numbered.plan.windows])
    for (const device of gone()) part?.chats?.forget(device)
    if (key === (part?.key ?? null)) return
    end(
      new EngineError(
        'device-left',
        'The devices were shared out anew while this was being answered. Ask again.',
      ),
    )
    if (!choice || !numbered || !key) return announce()
    const mine: Part = {
      key,
      choice,
      numbered,
      aborter: new AbortController(),
      state: 'loading',
      bytes: 0,
      ring: null,
      chats: null,
    }
    part = mine
    loading = loading.then(() => begin(mine)).catch((thrown) => failed(mine, toEngineError(thrown)))
  }

  /** Devices whose questions nobody waits for any more. */
  const gone = () => sessionsSeen.filter((id) => !room?.devices.some(({ device }) => device === id))
  const sessionsSeen: DeviceId[] = []

  function end(reason: EngineError): void {
    part?.aborter.abort()
    part?.chats?.close(reason)
    part?.ring?.close()
    part = null
    for (const chat of asked)
      onchat({ type: 'chat-failed', chat, code: reason.code, message: reason.message })
    asked.clear()
  }

  async function begin(mine: Part): Promise<void> {
    const { choice, numbered, aborter } = mine
    const { plan } = numbered
    const { signal } = aborter
    if (signal.aborted) return
    const holding = {
      layers: plan.windows
        .filter(({ device }) => device === me)
        .flatMap(({ firstLayer, layers }) => Array.from({ length: layers }, (_, i) => firstLayer + i)),
      head: plan.head === me,
    }
    const takesPart = holding.head || holding.layers.length > 0
    onstatus({ phase: 'loading', plan: numbered.number, loadedBytes: 0, totalBytes: 0 })
    const model = await openModel(choice.model, place)
    if (holder?.model.key !== model.key) {
      holder?.free()
      holder = createWeightsHolder(model, backend, place.shelf)
    }
    const report = throttled(progressEveryMs, (loadedBytes: number, totalBytes: number) => {
      mine.bytes = totalBytes
      // The last of throttled reports may come when there is nothing more to report.
      if (signal.aborted || mine.state !== 'loading') return
      onstatus({ phase: 'loading', plan: numbered.number, loadedBytes, totalBytes })
    })
    await holder.hold(holding, report, signal)
    if (signal.aborted) return
    onholding()
    holder.layers.release()
    mine.state = 'loaded'
    if (takesPart) join(mine, holder)
    announce()
  }

  function failed(mine: Part, error: EngineError): void {
    if (mine !== part || mine.aborter.signal.aborted) return
    mine.state = 'failed'
    const { code, message } = error
    onstatus({ phase: 'failed', plan: mine.numbered.number, code, message })
  }

  // ── the ring ────────────────────────────────────────────────────────────────────────────────────────────────────

  function join(mine: Part, { layers, head, model }: WeightsHolder): void {
    const { numbered, choice } = mine
    const { plan } = numbered
    const ring = joinRing({
      me,
      numbered,
      dim: model.config.dim,
      dtype,
      layers,
      linkTo: (device) => links.get(device),
      onfailed(session, error) {
        if (plan.head === me) ring.fail(error, session)
        else
          sendControl(plan.head, {
            type: 'session-failed',
            session,
            code: error.code,
            message: error.message,
          })
      },
    })
    mine.ring = ring
    if (plan.head !== me || !head) return
    mine.chats = createChatService({
      ring,
      head,
      speech: createSpeech(model.header),
      contextLength: choice.profile.contextLength,
      send: (to, event) => (to === me ? onchat(event) : sendControl(to, event)),
      release(session) {
        layers.release(session)
        for (const device of ringDevices(mine))
          if (device !== me) sendControl(device, { type: 'release', session })
      },
      obstacle: () => obstacle(mine),
    })
  }

  const ringDevices = ({ numbered: { plan } }: Part) =>
    new Set([plan.head, ...plan.windows.map(({ device }) => device)])

  /** Whom this device sends hidden states to. */
  function successors({ numbered: { plan } }: Part): DeviceId[] {
    const order = [plan.head, ...plan.windows.map(({ device }) => device), plan.head]
    return order.filter((device, i) => device !== me && order[i - 1] === me)
  }

  function announce(): void {
    if (!part) return onstatus({ phase: 'idle' })
    if (part.state !== 'loaded') return
    const plan = part.numbered.number
    const linked = successors(part).every((device) => links.has(device))
    const { bytes } = part
    onstatus(
      linked ? { phase: 'ready', plan } : { phase: 'loading', plan, loadedBytes: bytes, totalBytes: bytes },
    )
  }

  /** Why this head cannot answer now. */
  function obstacle(mine: Part): EngineError | null {
    const missing = [...ringDevices(mine)].filter((id) => {
      if (id === me) return !successors(mine).every((device) => links.has(device))
      const view = room?.devices.find(({ device }) => device === id)
      const { status, presence } = view ?? { presence: 'away' }
      return presence !== 'here' || status?.phase !== 'ready' || status.plan !== mine.numbered.number
    })
    if (missing.length === 0) return null
    const names = missing.map(
      (id) => room?.devices.find(({ device }) => device === id)?.name ?? 'a device that left',
    )
    return new EngineError('not-ready', `The ring waits for ${names.join(', ')}. Ask again in a moment.`)
  }

  // ── talk ────────────────────────────────────────────────────────────────────────────────────────────────────────

  function receiveControl(from: DeviceId, message: ControlMessage): void {
    const head = part?.numbered.plan.head
    switch (message.type) {
      case 'generate':
      case 'abort':
        return serve(from, message)
      case 'queued':
      case 'token':
      case 'done':
      case 'chat-failed':
        if (from === head && asked.has(message.chat)) deliver(message)
        return
      case 'release':
        if (from === head) holder?.layers.release(message.session)
        return
      case 'session-failed':
        if (part && head === me && ringDevices(part).has(from)) {
          part.ring?.fail(new EngineError(message.code, message.message), message.session)
        }
        return
      default:
        // 'hello', 'ping' and 'pong' are the page's.
        return
    }
  }

  function serve(from: DeviceId, request: ChatRequest): void {
    if (part?.chats) {
      if (!sessionsSeen.includes(from)) sessionsSeen.push(from)
      return part.chats.handle(from, request)
    }
    if (request.type !== 'generate') return
    const message = 'No model is ready to answer yet. Wait until the room says "ready".'
    const event: ChatEvent = { type: 'chat-failed', chat: request.chat, code: 'not-ready', message }
    if (from === me) onchat(event)
    else sendControl(from, event)
  }

  function ask(request: ChatRequest): void {
    const head = part?.numbered.plan.head
    if (head === undefined || head === me) return serve(me, request)
    if (request.type === 'generate') asked.add(request.chat)
    if (links.has(head)) return sendControl(head, request)
    if (request.type === 'generate') loseHead('is not connected')
  }

  function deliver(event: ChatEvent): void {
    if (event.type === 'done' || event.type === 'chat-failed') asked.delete(event.chat)
    onchat(event)
  }

  function loseHead(how: string): void {
    const head = room?.devices.find(({ device }) => device === part?.numbered.plan.head)?.name ?? 'The head'
    const message = `${head}, the device that writes the answers, ${how}. Ask again when the room says "ready".`
    for (const chat of asked) deliver({ type: 'chat-failed', chat, code: 'device-left', message })
  }

  return {
    follow,
    receiveControl,
    ask,
    addLink(peer, link) {
      links.get(peer)?.close()
      links.set(peer, link)
      link.listen({
        onframe: (frame) => part?.ring?.receive(peer, frame),
        onclose: () => {
          if (links.get(peer) === link) dropLink(peer)
        },
      })
      announce()
    },
    dropLink,
    modelInUse: () => (part ? (holder?.model.key ?? null) : null),
    close() {
      end(new EngineError('aborted', 'Hearth was closed.'))
      for (const link of links.values()) link.close()
      holder?.free()
    },
  }

  function dropLink(peer: DeviceId): void {
    if (!links.delete(peer)) return
    if (part && ringDevices(part).has(peer)) {
      const name = room?.devices.find(({ device }) => device === peer)?.name ?? 'A device'
      part.ring?.fail(
        new EngineError(
          'device-left',
          `${name} is gone in the middle of the answer. Ask again when it is back.`,
        ),
      )
      if (peer === part.numbered.plan.head) loseHead('is gone')
    }
    announce()
  }
}

/** At most one call per interval, and always the last one. */
function throttled<A extends unknown[]>(intervalMs: number, act: (...args: A) => void): (...args: A) => void {
  let latest: A | null = null
  let timer: ReturnType<typeof setTimeout> | null = null
  return (...args) => {
    if (timer !== null) {
      latest = args
      return
    }
    act(...args)
    timer = setTimeout(() => {
      timer = null
      if (latest) act(...latest)
      latest = null
    }, intervalMs)
  }
}
