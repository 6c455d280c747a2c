/**
 * What only the head does: take questions from any device of the room and answer several at once.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'
import { EngineError, toEngineError } from '../errors.ts'
import type { Head } from '../model/layers.ts'
import type { Begun, ChatEvent, ChatMessage, ChatRequest, GenerateOptions } from '../protocol.ts'
import type { Ring } from '../ring/ring.ts'
import { createVolleys } from '../ring/volleys.ts'
import { createAnswer, noStats, type Answer, type Say } from './answer.ts'
import { createConversations } from './conversations.ts'
import type { Speech } from './speech.ts'

/** Answered at once; others wait. */
const mostAtOnce = 8
const maxQueuedPerDevice = 4
/** As long as a reload takes. */
const patienceMs = 15_000
const lookEveryMs = 50

export type ChatServiceOptions = {
  ring: Ring
  head: Head
  speech: Speech
  contextLength: number
  /** To the device that asked, which may be this one. */
  send(to: DeviceId, event: ChatEvent): void
  /** Drops a session's KV cache on every device of the ring. */
  release(session: number): void
  /** Names of the devices without which the ring cannot answer now. */
  waitsFor(): string[]
  /** What {@link createVolleys} says of a token. */
  onhead?(ms: number): void
  onway?(ms: number): void
  /** The first question came, or the last answer ended: {@link ChatService.isAnswering}. */
  onanswering?(): void
}

export interface ChatService {
  handle(from: DeviceId, request: ChatRequest): void
  /** Nobody hears this device's answers any more; it may come back and go on with its conversations. */
  hangUp(device: DeviceId): void
  /** Who is in the room: nobody waits for the answers of others any more. */
  keepOnly(devices: readonly DeviceId[]): void
  /** Whether somebody waits for an answer. */
  isAnswering(): boolean
  /** Ends everything, telling those who wait why. */
  close(reason: EngineError): void
}

type Job = {
  from: DeviceId
  chat: string
  messages: ChatMessage[]
  options: GenerateOptions
  begun: Begun | undefined
  askedAtMs: number
  aborter: AbortController
  /** Null until it was first begun. */
  answer: Answer | null
  isRunning: boolean
  /** While nobody else was being answered: no other answer's end would give it more memory. */
  isAlone: boolean
  /** There was no memory for it beside others; it goes on when one of them is done. */
  isHeldBack: boolean
  /** As the one who asked was last told. */
  ahead: number | null
}

export function createChatService(service: ChatServiceOptions): ChatService {
  const { ring, head, speech, contextLength, send, release, waitsFor, onhead, onway, onanswering } = service
  const volleys = createVolleys(ring, head, onhead, onway)
  /** In the order in which they were asked. */
  const jobs: Job[] = []
  /** Why nobody is answered any more. */
  let closed: EngineError | null = null
  const conversations = createConversations(release, (key) => running().some((job) => keyOf(job) === key))

  // ── whose turn it is ────────────────────────────────────────────────────────────────────────────────────────────

  const running = () => jobs.filter(({ isRunning }) => isRunning)

  function enqueue(job: Job): void {
    if (jobs.filter(({ from }) => from === job.from).length >= maxQueuedPerDevice) {
      return fail(
        job,
        new EngineError(
          'not-ready',
          `This device already waits for ${maxQueuedPerDevice} answers; ask again when one is done.`,
        ),
      )
    }
    jobs.push(job)
    if (jobs.length === 1) onanswering?.()
    startNext()
  }

  /** Whoever is held back is not overtaken: memory that is short would be short for others as well. */
  function startNext(): void {
    for (;;) {
      const next = jobs.find(({ isRunning }) => !isRunning)
      const others = running()
      if (!next || others.length >= mostAtOnce || (next.isHeldBack && others.length > 0)) break
      for (const other of others) other.isAlone = false
      next.isAlone = others.length === 0
      next.isHeldBack = false
      next.isRunning = true
      void work(next)
    }
    let ahead = 0
    for (const job of jobs) {
      const now = job.isRunning ? 0 : ++ahead
      if (now !== job.ahead) send(job.from, { type: 'queued', chat: job.chat, ahead: now })
      job.ahead = now
    }
  }

  async function work(job: Job): Promise<void> {
    const error = await speakToTheEnd(job).then(() => null, toEngineError)
    job.isRunning = false
    if (error?.code === 'out-of-memory' && !job.isAlone && !job.aborter.signal.aborted) {
      conversations.drop(keyOf(job))
      job.isHeldBack = true
    } else {
      if (error) fail(job, error)
      remove(job)
    }
    startNext()
  }

  function remove(job: Job): void {
    jobs.splice(jobs.indexOf(job), 1)
    if (jobs.length === 0) onanswering?.()
    for (const other of jobs) other.isHeldBack = false
  }

  /** One that is being answered ends after its token; one that waits is over now. */
  function stop(job: Job): void {
    job.aborter.abort()
    if (job.isRunning) return
    remove(job)
    send(job.from, {
      type: 'done',
      chat: job.chat,
      stats: job.answer?.stats(job.askedAtMs, 'aborted') ?? noStats(job.askedAtMs, 'aborted'),
    })
    startNext()
  }

  // ── answering ───────────────────────────────────────────────────────────────────────────────────────────────────

  async function speakToTheEnd(job: Job): Promise<void> {
    await ringComplete(job.aborter.signal)
    for (let isAgain = false; ; isAgain = true) {
      try {
        return await speak(job)
      } catch (thrown) {
        const { code } = toEngineError(thrown)
        // Either a device came back without its KV cache (a reload), or idle conversations' fill a device's memory.
        if (!(code === 'kv-lost' && !isAgain) && !(code === 'out-of-memory' && conversations.forgetIdle()))
          throw thrown
        // What is said stays said; the rest goes on from a session that knows nothing.
        conversations.drop(keyOf(job))
      }
    }
  }

  /** Waits for a device that is just coming back, for a while. */
  async function ringComplete(signal: AbortSignal): Promise<void> {
    for (let waitedMs = 0; ; waitedMs += lookEveryMs) {
      const names = waitsFor()
      if (names.length === 0 || signal.aborted) return
      if (waitedMs >= patienceMs) {
        throw new EngineError('device-left', `The ring waits for ${names.join(', ')}. Ask again in a moment.`)
      }
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
    }
  }

  async function speak(job: Job): Promise<void> {
    const { from, chat, messages, options, begun, askedAtMs, aborter } = job
    const session = conversations.open(keyOf(job), from)
    const { cached } = session
    if (!job.answer) {
      job.answer = createAnswer({ volleys, speech, contextLength, messages, options, cached, begun })
      send(from, { type: 'begun', chat, prompt: [...job.answer.prompt] })
    }
    const answer = job.answer
    const say: Say = (text, id) =>
      send(from, id === undefined ? { type: 'token', chat, text } : { type: 'token', chat, text, id })
    const stop = await answer.speak(session, aborter.signal, say)
    if (closed) throw closed
    send(from, { type: 'done', chat, stats: answer.stats(askedAtMs, stop) })
  }

  function fail({ from, chat }: Job, { code, message }: EngineError): void {
    send(from, { type: 'chat-failed', chat, code, message })
  }

  return {
    handle(from, request) {
      const job = jobs.find((job) => job.from === from && job.chat === request.chat)
      if (request.type === 'generate') {
        if (job)
          return fail(job, new EngineError('not-ready', 'This conversation is being answered already.'))
        const { chat, messages, options, begun } = request
        enqueue({
          from,
          chat,
          messages,
          options,
          begun,
          askedAtMs: performance.now(),
          aborter: new AbortController(),
          answer: null,
          isRunning: false,
          isAlone: false,
          isHeldBack: false,
          ahead: null,
        })
      } else if (job) stop(job)
    },
    hangUp(device) {
      for (const job of jobs.filter(({ from }) => from === device)) stop(job)
    },
    keepOnly(devices) {
      for (const job of jobs.filter(({ from }) => !devices.includes(from))) stop(job)
      conversations.keepOnly(devices)
    },
    isAnswering: () => jobs.length > 0,
    close(reason) {
      closed = reason
      for (const job of jobs.filter(({ isRunning }) => !isRunning)) {
        remove(job)
        fail(job, reason)
      }
      for (const { aborter } of jobs) aborter.abort()
      ring.fail(reason)
    },
  }
}

const keyOf = ({ from, chat }: Job): string => `${from}/${chat}`
