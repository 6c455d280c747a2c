/**
 * What every device does: follow the room's plan, hold its part of the model, join the ring, and, when it is the head,
 * answer. Knows neither sockets nor threads: a page or a test hands in what it hears and takes what it says.
 *
 * @module
 */
import type { DeviceId, Plan } from '@hearth/halda'
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
import type { Ring } from '../ring/ring.ts'
import type { Dtype } from '../wire.ts'
import type { ChatService } from './chat-service.ts'
import { createHeldModel, type HeldModelOptions } from './held-model.ts'
import type { AnswerEvent } from './messages.ts'
import { createOwnQuestions, problemOf } from './own-questions.ts'
import { ringDevices, successorsOf } from './plan-part.ts'
import { createRingPart } from './ring-part.ts'
import { ringState } from './ring-state.ts'
import { throttled } from './throttle.ts'
import type { WeightsHolder } from './weights-holder.ts'

const progressEveryMs = 200

export type DeviceOptions = HeldModelOptions & {
  dtype: Dtype
  onstatus(status: DeviceStatus): void
  sendControl(to: DeviceId, message: ControlMessage): void
  /** Events of this device's own questions. */
  onchat(event: AnswerEvent): void
  /** An answer waits for a device that is away: the server need keep its seat no longer than a reload takes. */
  onmissed(device: DeviceId): void
  /** What the device holds has changed. */
  onholding(): void
  /** It ran layers for one token, all of them from memory. */
  onran?(run: { layers: number; position: number; ms: number }): void
  /** As the head it took so long for a token besides its layers, with all of its part in memory. */
  onhead?(ms: number): void
  /** As the head: a token of a plan was so long on its way from device to device. */
  onway?(plan: Plan, ms: number): void
}

export interface Device {
  follow(room: RoomView): void
  addLink(peer: DeviceId, link: Link): void
  dropLink(peer: DeviceId): void
  receiveControl(from: DeviceId, message: ControlMessage): void
  ask(request: ChatRequest): void
  /** Holds less or more of its part in memory from now on, and goes on answering. */
  setMemoryBudget(bytes: number): void
  streaming(): ReturnType<WeightsHolder['streaming']>
  /** What its part takes outside the backend's memory. */
  bufferBytes(): number
  /** What its part takes of the GPU's memory. */
  gpuBytes(): number
  /** Frames that belonged to no plan of this device: late ones of the last plan, or a stranger's. */
  droppedFrames(): number
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
  /** On the head, once it is loaded. */
  chats: ChatService | null
}

export function createDevice(options: DeviceOptions): Device {
  const { me, dtype, onstatus, sendControl, onchat, onmissed, onholding, onran, onhead, onway } = options
  const links = new Map<DeviceId, Link>()
  const questions = createOwnQuestions({
    onchat,
    send: (head, request) => (head === me ? serve(me, request) : sendControl(head, request)),
    onmissed,
    ring: () => ringState(room, (device) => device === me || links.has(device)),
  })
  /** Dropped without a ring, and by the rings before this one. */
  let strayFrames = 0
  let room: RoomView | null = null
  let part: Part | null = null
  const held = createHeldModel(options)

  const nameOf = (id: DeviceId | undefined) =>
    room?.devices.find(({ device }) => device === id)?.name ?? 'A device'

  // ── the plan ────────────────────────────────────────────────────────────────────────────────────────────────────

  function follow(next: RoomView): void {
    room = next
    part?.chats?.keepOnly(next.devices.map(({ device }) => device))
    const { choice, numbered } = next
    const key = choice && numbered && planKey(choice, numbered)
    if (key !== (part?.key ?? null)) {
      end(
        new EngineError(
          'device-left',
          'The layers were shared out anew in the middle of the answer. Ask again.',
        ),
      )
      if (choice && numbered && key) start({ key, choice, numbered })
      else {
        onstatus({ phase: 'idle' })
        void held.letGo(() => part !== null).then(onholding)
      }
    }
    questions.look()
  }

  function start(planned: Pick<Part, 'key' | 'choice' | 'numbered'>): void {
    const aborter = new AbortController()
    const mine: Part = { ...planned, aborter, state: 'loading', bytes: 0, ring: null, chats: null }
    part = mine
    load(mine).catch((thrown) => fail(mine, toEngineError(thrown)))
  }

  function end(reason: EngineError): void {
    const ended = part
    part = null
    ended?.aborter.abort()
    ended?.chats?.close(reason)
    strayFrames += ended?.ring?.droppedFrames ?? 0
    ended?.ring?.close()
    questions.interrupt(reason)
  }

  async function load(mine: Part): Promise<void> {
    const { choice, numbered, aborter } = mine
    const plan = numbered.number
    const { signal } = aborter
    const tell = throttled(progressEveryMs, (loadedBytes: number, totalBytes: number) => {
      // The last of throttled reports may come when there is nothing more to report.
      if (signal.aborted || mine.state !== 'loading') return
      onstatus({ phase: 'loading', plan, loadedBytes, totalBytes })
    })
    const report = (loadedBytes: number, totalBytes: number) => {
      mine.bytes = totalBytes
      tell(loadedBytes, totalBytes)
    }
    const holder = await held.bring(choice, numbered.plan, report, signal)
    if (signal.aborted) return
    onholding()
    mine.state = 'loaded'
    join(mine, holder)
    announce()
  }

  function setMemoryBudget(bytes: number): void {
    const mine = part?.state === 'loaded' ? part : null
    const done = held.setBudget(bytes, mine && { plan: mine.numbered.plan, signal: mine.aborter.signal })
    if (mine) void done.catch((thrown) => fail(mine, toEngineError(thrown))).then(onholding)
  }

  function fail(mine: Part, { code, message }: EngineError): void {
    if (mine !== part || mine.aborter.signal.aborted) return
    mine.state = 'failed'
    onstatus({ phase: 'failed', plan: mine.numbered.number, code, message })
  }

  /** Ready means: the layers are here, and so are the connections to whom they are handed on. */
  function announce(): void {
    if (part?.state !== 'loaded') return
    const { numbered, bytes, chats } = part
    const plan = numbered.number
    const linked = successorsOf(numbered.plan, me).every((device) => links.has(device))
    if (!linked) return onstatus({ phase: 'loading', plan, loadedBytes: bytes, totalBytes: bytes })
    onstatus({ phase: 'ready', plan, ...(chats?.isAnswering() && { answering: true }) })
  }

  // ── the ring ────────────────────────────────────────────────────────────────────────────────────────────────────

  function join(mine: Part, holder: WeightsHolder): void {
    const { choice, numbered } = mine
    if (!ringDevices(numbered.plan).has(me)) return
    const { ring, chats } = createRingPart({
      me,
      dtype,
      choice,
      numbered,
      held: holder,
      linkTo: (device) => links.get(device),
      room: () => room,
      sendControl,
      answer,
      onran,
      onhead,
      onway,
      onanswering: announce,
    })
    mine.ring = ring
    mine.chats = chats
  }

  function dropLink(peer: DeviceId): void {
    if (!links.delete(peer)) return
    part?.chats?.hangUp(peer)
    if (part && ringDevices(part.numbered.plan).has(peer)) {
      const message = `${nameOf(peer)} is gone in the middle of the answer. Ask again when it is back.`
      part.ring?.fail(new EngineError('device-left', message))
    }
    questions.interrupt(headLost('is gone'), peer)
    questions.look()
    announce()
  }

  const headLost = (how: string) =>
    new EngineError(
      'device-left',
      `${nameOf(part?.numbered.plan.head)}, the device that writes the answers, ${how}. Ask again when the room is ready.`,
    )

  // ── talk ────────────────────────────────────────────────────────────────────────────────────────────────────────

  function receiveControl(from: DeviceId, message: ControlMessage): void {
    const plan = part?.numbered.plan
    switch (message.type) {
      case 'generate':
      case 'abort':
        return serve(from, message)
      case 'queued':
      case 'begun':
      case 'token':
      case 'done':
      case 'chat-failed':
        return questions.deliver(from, message)
      case 'release':
        if (from === plan?.head) held.holder()?.layers.release(message.session)
        return
      case 'session-failed':
        if (plan && ringDevices(plan).has(from)) {
          part?.ring?.fail(new EngineError(message.code, message.message), message.session)
        }
        return
      default:
        // 'hello', 'ping' and 'pong' are the page's.
        return
    }
  }

  function serve(from: DeviceId, request: ChatRequest): void {
    if (part?.chats) return part.chats.handle(from, request)
    if (request.type !== 'generate') return
    const message = 'No model is ready to answer yet. Ask again when the room is ready.'
    answer(from, { type: 'chat-failed', chat: request.chat, code: 'not-ready', message })
  }

  const answer = (to: DeviceId, event: ChatEvent) =>
    to === me ? questions.deliver(me, event) : sendControl(to, event)

  function ask(request: ChatRequest): void {
    const head = part?.numbered.plan.head ?? me
    const problem = problemOf(request)
    if (problem) return onchat(problem)
    questions.ask(head, request)
    if (head !== me && !links.has(head)) questions.interrupt(headLost('is not connected'), head)
  }

  return {
    follow,
    receiveControl,
    ask,
    dropLink,
    setMemoryBudget,
    streaming: () => held.holder()?.streaming() ?? null,
    bufferBytes: () => held.holder()?.bufferBytes() ?? 0,
    gpuBytes: () => held.holder()?.gpuBytes() ?? 0,
    addLink(peer, link) {
      links.get(peer)?.close()
      links.set(peer, link)
      link.listen({
        onframe(frame) {
          if (part?.ring) part.ring.receive(peer, frame)
          else strayFrames++
        },
        onclose: () => {
          if (links.get(peer) === link) dropLink(peer)
        },
      })
      announce()
      questions.look()
    },
    droppedFrames: () => strayFrames + (part?.ring?.droppedFrames ?? 0),
    modelInUse: () => (part ? (held.holder()?.model.key ?? null) : null),
    close() {
      const closed = new EngineError('aborted', 'Hearth was closed.')
      questions.fail(closed)
      end(closed)
      for (const link of links.values()) link.close()
      void held.free()
    },
  }
}

const planKey = ({ model }: ModelChoice, { number, plan }: NumberedPlan): string =>
  JSON.stringify([model, number, plan.head, plan.windows])
