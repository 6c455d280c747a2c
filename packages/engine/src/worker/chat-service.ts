/**
 * What only the head does: take questions from any device of the room, answer them one after another, keep a session
 * for each conversation so that the next turn runs only what is new.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'
import { EngineError, toEngineError } from '../errors.ts'
import type { Head } from '../model/layers.ts'
import { createSampler } from '../model/sampler.ts'
import type { ChatEvent, ChatMessage, ChatRequest, GenerateOptions, GenerateStats } from '../protocol.ts'
import { generate, reusablePrefix } from '../ring/generate.ts'
import type { Ring } from '../ring/ring.ts'

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
  /** Some of the answer is out and cannot be taken back. */
  spoke: boolean
}

export function createChatService(service: ChatServiceOptions): ChatService {
  const { ring, head, speech, contextLength, send, release, waitsFor } = service
  /** The first job is the one being answered. */
  const jobs: Job[] = []
  /** In order of last use. */
  const sessions = new Map<string, Session>()
  let nextSession = 0

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
    send(job.from, { type: 'queued', chat: job.chat, ahead: jobs.length - 1 })
    if (jobs.length === 1) void work()
  }

  async function work(): Promise<void> {
    for (let job = jobs[0]; job; job = jobs[0]) {
      try {
        await answer(job)
      } catch (thrown) {
        fail(job, toEngineError(thrown))
      }
      remove(job)
    }
  }

  function remove(job: Job): void {
    jobs.splice(jobs.indexOf(job), 1)
    for (const [ahead, { from, chat }] of jobs.entries()) send(from, { type: 'queued', chat, ahead })
  }

  /** The one being answered ends after its token; one that waits is over now. */
  function stop(job: Job): void {
    job.aborter.abort()
    if (job === jobs[0]) return
    remove(job)
    const ttftMs = performance.now() - job.askedAtMs
    const none = { tpotMs: 0, promptTokens: 0, cachedTokens: 0, outputTokens: 0 }
    send(job.from, { type: 'done', chat: job.chat, stats: { ttftMs, ...none, stop: 'aborted' } })
  }

  async function answer(job: Job): Promise<void> {
    await ringComplete(job.aborter.signal)
    const session = sessionOf(job)
    const prompt = speech.encodeChat(job.messages, session.cached)
    if (prompt.length >= contextLength) {
      throw new EngineError(
        'context-full',
        `This conversation has ${prompt.length} tokens and the room holds ${contextLength - 1}. Start a new chat, or ask in fewer words.`,
      )
    }
    try {
      await speak(job, prompt, session)
    } catch (thrown) {
      const { code } = toEngineError(thrown)
      // Either a device came back without its KV cache (a reload), or other conversations' fill a device's memory.
      const mayHelp = () => code === 'kv-lost' || (code === 'out-of-memory' && forgetOthers(session))
      if (job.spoke || !mayHelp()) throw thrown
      // From its beginning, once.
      session.cached.length = 0
      await speak(job, prompt, session)
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

  async function speak(job: Job, prompt: number[], session: Session): Promise<void> {
    const { from, chat, options, aborter, askedAtMs } = job
    const decoder = speech.createDecoder()
    const cachedBefore = reusablePrefix(prompt, session.cached)
    let outputTokens = 0
    let firstAtMs = 0
    let lastAtMs = 0
    const tokens = generate({
      ring,
      head,
      session: session.id,
      prompt,
      cached: session.cached,
      sample: createSampler(options),
      isEnd: speech.isEnd,
      maxTokens: options.maxTokens,
      contextLength,
      signal: aborter.signal,
    })
    let next = await tokens.next()
    for (; !next.done; next = await tokens.next()) {
      lastAtMs = performance.now()
      if (outputTokens++ === 0) firstAtMs = lastAtMs
      const text = decoder.push(next.value)
      if (text !== '') send(from, { type: 'token', chat, text })
      job.spoke = true
    }
    const rest = decoder.flush()
    if (rest !== '') send(from, { type: 'token', chat, text: rest })
    const stats: GenerateStats = {
      ttftMs: (outputTokens > 0 ? firstAtMs : performance.now()) - askedAtMs,
      tpotMs: outputTokens > 1 ? (lastAtMs - firstAtMs) / (outputTokens - 1) : 0,
      promptTokens: prompt.length,
      cachedTokens: cachedBefore,
      outputTokens,
      stop: next.value,
    }
    send(from, { type: 'done', chat, stats })
  }

  function sessionOf({ from, chat }: Job): Session {
    const key = `${from}/${chat}`
    const session = sessions.get(key) ?? { id: freeSessionId(), from, cached: [] }
    sessions.delete(key)
    sessions.set(key, session)
    for (const [oldest] of sessions) {
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

  /** @returns whether there were any */
  function forgetOthers(session: Session): boolean {
    const others = [...sessions].filter(([, other]) => other !== session)
    for (const [key] of others) drop(key)
    return others.length > 0
  }

  function drop(key: string): void {
    release(sessions.get(key)!.id)
    sessions.delete(key)
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
          spoke: false,
        })
      } else if (job) stop(job)
    },
    hangUp(device) {
      for (const job of jobs.filter(({ from }) => from === device)) stop(job)
    },
    keepOnly(devices) {
      for (const job of jobs.filter(({ from }) => !devices.includes(from))) stop(job)
      for (const [key, { from }] of sessions) {
        if (!devices.includes(from) && jobs[0]?.from !== from) drop(key)
      }
    },
    close(reason) {
      const [running, ...waiting] = jobs
      jobs.length = running ? 1 : 0
      running?.aborter.abort()
      for (const job of waiting) fail(job, reason)
      ring.fail(reason)
    },
  }
}
