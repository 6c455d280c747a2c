/**
 * A device's place in the ring of one plan: its layers run for everybody, and on the head conversations are answered.
 *
 * @module
 */
import type { DeviceId, Plan } from '@hearth/halda'
import type {
  Activation,
  ChatEvent,
  ControlMessage,
  ModelChoice,
  NumberedPlan,
  RoomView,
} from '../protocol.ts'
import type { Link } from '../ring/link.ts'
import { joinRing, type Ring } from '../ring/ring.ts'
import type { Dtype } from '../wire.ts'
import { createChatService, type ChatService } from './chat-service.ts'
import { notReady, ringDevices } from './plan-part.ts'
import { createSpeech } from './speech.ts'
import type { WeightsHolder } from './weights-holder.ts'

export type RingPartOptions = {
  /** One of the plan's devices. */
  me: DeviceId
  dtype: Dtype
  choice: ModelChoice
  numbered: NumberedPlan
  /** Holds this device's part of the plan. */
  held: WeightsHolder
  linkTo(device: DeviceId): Link | undefined
  /** As the server last told. */
  room(): RoomView | null
  sendControl(to: DeviceId, message: ControlMessage): void
  /** To the device that asked, which may be this one. */
  answer(to: DeviceId, event: ChatEvent): void
  /** It ran layers for one token, all of them on the processor and from memory. */
  onran: ((run: { layers: number; position: number; ms: number }) => void) | undefined
  /** As the head it took so long for a token besides its layers, with all of its part in memory. */
  onhead: ((ms: number) => void) | undefined
  /** As the head: a token of this plan was so long on its way from device to device. */
  onway: ((plan: Plan, ms: number) => void) | undefined
  /** As the head: it begins to answer, or has answered everybody. */
  onanswering(): void
}

/** `chats` is null where this device is not the head. */
export function createRingPart(options: RingPartOptions): { ring: Ring; chats: ChatService | null } {
  const { me, dtype, choice, numbered, held, linkTo, room, sendControl, answer } = options
  const { onran, onhead, onway, onanswering } = options
  const { layers, head, model } = held
  const { plan } = numbered
  const timedRun: typeof layers.run = async (group, count) => {
    const startMs = performance.now()
    const out = await layers.run(group, count)
    const [{ rows, position }] = group as [Activation]
    const isAlike = group.length === 1 && rows === 1 && held.streaming() === null && held.gpuBytes() === 0
    if (isAlike) onran?.({ layers: count, position, ms: performance.now() - startMs })
    return out
  }
  const ring = joinRing({
    me,
    numbered,
    dim: model.config.dim,
    dtype,
    layers: { ...layers, run: timedRun },
    linkTo,
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
  if (!head) return { ring, chats: null }
  const chats = createChatService({
    ring,
    head,
    speech: createSpeech(model.header),
    contextLength: choice.profile.contextLength,
    send: answer,
    release(session) {
      layers.release(session)
      for (const device of ringDevices(plan))
        if (device !== me) sendControl(device, { type: 'release', session })
    },
    waitsFor: () => notReady(numbered, room()),
    onhead(ms) {
      if (held.streaming() === null) onhead?.(ms)
    },
    onway: (ms) => onway?.(plan, ms),
    onanswering,
  })
  return { ring, chats }
}
