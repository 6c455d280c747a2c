/**
 * What only the head does: take questions from any device of the room, answer several at once, keep a session for each
 * conversation so that the next turn runs only what is new.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'
import { EngineError, toEngineError } from '../errors.ts'
import type { Head } from '../model/layers.ts'
import type { Logits } from '../model/logits.ts'
import { createSampler } from '../model/sampler.ts'
import type { ChatEvent, ChatMessage, ChatRequest, GenerateOptions, GenerateStats } from '../protocol.ts'
import { generate, reusablePrefix, type StopReason } from '../ring/generate.ts'
import type { Ring } from '../ring/ring.ts'
import { createVolleys } from '../ring/volleys.ts'

/** Answered at once; others wait. */
const mostAtOnce = 8
/** Conversations whose KV cache is kept; the one unused for longest goes first. */
const maxSessions = 8
const maxQueuedPerDevice = 4
/** As long as a reload takes. */
const patienceMs = 15_000
const lookEveryMs = 50

/** The text side of a model. */
export type Speech = {
  /** The conversation in the model's own template, ready for the answer; `cached` answers keep their tokens. */
  encodeChat(messages: readonly ChatMessage[], cached: readonly number[]): number[]
  isEnd(token: number): boolean
  /** Turns ids into text without splitting a character. */
  createDecoder(): { push(token: number): string; flush(): string }
}

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
}

export interface ChatService {
  handle(from: DeviceId, request: ChatRequest): void
  /** Nobody hears this device's answers any more; it may come back and go on with its conversations. */
  hangUp(device: DeviceId): void
  /** Who is in the room: nobody waits for the answers of others any more. */
  keepOnly(devices: readonly DeviceId[]): void
  /** Ends everything, telling those who wait why. */
  close(reason: EngineError): void
}

type Session = { id: number; from: DeviceId; cached: number[] }

type Job = {
  from: DeviceId
  chat: string
  messages: ChatMessage[]
  options: GenerateOptions
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

/** How far an answer is: where it was interrupted it goes on from there. */
type Answer = {
  prompt: number[]
  cachedTokens: number
  /** Tokens that are out. */
  said: number[]
  decoder: ReturnType<Speech['createDecoder']>
  sample(logits: Logits): number
  firstAtMs: number
  lastAtMs: number
}

export function createChatService(service: ChatServiceOptions): ChatService {
  const { ring, head, speech, contextLength, send, release, waitsFor } = service
  const volleys = createVolleys(ring, head)
  /** In the order in which they were asked. */
  const jobs: Job[] = []
  /** In order of last use. */
  const sessions = new Map<string, Session>()
  let nextSession = 0

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
      drop(keyOf(job))
      job.isHeldBack = true
    } else {
      if (error) fail(job, error)
      remove(job)
    }
    startNext()
  }

  function remove(job: Job): void {
    jobs.splice(jobs.indexOf(job), 1)
    for (const other of jobs) other.isHeldBack = false
  }

  /** One that is being answered ends after its token; one that waits is over now. */
  function stop(job: Job): void {
    job.aborter.abort()
    if (job.isRunning) return
    remove(job)
    send(job.from, { type: 'done', chat: job.chat, stats: statsOf(job, 'aborted') })
    startNext()
  }

  // ── answering ───────────────────────────────────────────────────────────────────────────────────────────────────

  async function speakToTheEnd(job: Job): Promise<void> {
    await ringComplete(job.aborter.signal)
    for (let isAgain = false; ; isAgain = true) {
      try {
        return await speak(job, sessionOf(job))
      } catch (thrown) {
        const { code } = toEngineError(thrown)
        // Either a device came back without its KV cache (a reload), or idle conversations' fill a device's memory.
        if (!(code === 'kv-lost' && !isAgain) && !(code === 'out-of-memory' && forgetIdle())) throw thrown
        // What is said stays said; the rest goes on from a session that knows nothing.
        drop(keyOf(job))
      }
    }
  }

  /** Waits for a device that is just coming back, for a while. */
  async function ringComplete(signal: AbortSignal): Promise<void> {
    for (let waitedMs = 0; ; waitedMs += lookEveryMs) {
      const names = waitsFor()
      if (names.length === 0 || signal.aborted) return
      if (waitedMs >= patienceMs) {
        throw new EngineError('not-ready', `The ring waits for ${names.join(', ')}. Ask again in a moment.`)
      }
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
    }
  }

  function begin({ messages, options }: Job, { cached }: Session): Answer {
    const prompt = speech.encodeChat(messages, cached)
    if (prompt.length >= contextLength) {
      throw new EngineError(
        'context-full',
        `This conversation has ${prompt.length} tokens and the room holds ${contextLength - 1}. Start a new chat, or ask in fewer words.`,
      )
    }
    return {
      prompt,
      cachedTokens: reusablePrefix(prompt, cached),
      said: [],
      decoder: speech.createDecoder(),
      sample: createSampler(options),
      firstAtMs: 0,
      lastAtMs: 0,
    }
  }

  async function speak(job: Job, session: Session): Promise<void> {
    const { from, chat, options, aborter } = job
    const answer = (job.answer ??= begin(job, session))
    const { prompt, said, decoder, sample } = answer
    const say = (text: string) => text !== '' && send(from, { type: 'token', chat, text })
    const tokens = generate({
      volleys,
      session: session.id,
      prompt: [...prompt, ...said],
      cached: session.cached,
      sample,
      isEnd: speech.isEnd,
      maxTokens: options.maxTokens - said.length,
      contextLength,
      signal: aborter.signal,
    })
    try {
      let next = await tokens.next()
      for (; !next.done; next = await tokens.next()) {
        answer.lastAtMs = performance.now()
        if (said.length === 0) answer.firstAtMs = answer.lastAtMs
        said.push(next.value)
        say(decoder.push(next.value))
      }
      say(decoder.flush())
      send(from, { type: 'done', chat, stats: statsOf(job, next.value) })
    } finally {
      await tokens.return('aborted')
    }
  }

  // ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────

  function sessionOf(job: Job): Session {
    const key = keyOf(job)
    const session = sessions.get(key) ?? { id: freeSessionId(), from: job.from, cached: [] }
    sessions.delete(key)
    sessions.set(key, session)
    for (const oldest of idleSessions()) {
      if (sessions.size <= maxSessions) break
      drop(oldest)
    }
    return session
  }

  /** Not used a moment ago either, so that a late frame meets no newcomer. */
  function freeSessionId(): number {
    const used = new Set([...sessions.values()].map(({ id }) => id))
    do nextSession = (nextSession + 1) & 0xffff
    while (used.has(nextSession))
    return nextSession
  }

  /** Keys of conversations that nobody is answered in. */
  function idleSessions(): string[] {
    const busy = new Set(running().map(keyOf))
    return [...sessions.keys()].filter((key) => !busy.has(key))
  }

  /** @returns whether there were any */
  function forgetIdle(): boolean {
    const idle = idleSessions()
    for (const key of idle) drop(key)
    return idle.length > 0
  }

  function drop(key: string): void {
    const session = sessions.get(key)
    sessions.delete(key)
    if (session) release(session.id)
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
        const { chat, messages, options } = request
        enqueue({
          from,
          chat,
          messages,
          options,
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
      for (const key of idleSessions()) if (!devices.includes(sessions.get(key)!.from)) drop(key)
    },
    close(reason) {
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

function statsOf({ askedAtMs, answer }: Job, stop: StopReason): GenerateStats {
  const nothing = { prompt: [], cachedTokens: 0, said: [], firstAtMs: 0, lastAtMs: 0 }
  const { prompt, cachedTokens, said, firstAtMs, lastAtMs } = answer ?? nothing
  return {
    ttftMs: (said.length > 0 ? firstAtMs : performance.now()) - askedAtMs,
    tpotMs: said.length > 1 ? (lastAtMs - firstAtMs) / (said.length - 1) : 0,
    promptTokens: prompt.length,
    cachedTokens,
    outputTokens: said.length,
    stop,
  }
}
