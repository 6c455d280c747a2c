/**
 * This device's questions, from asking to the end of the answer, whoever is the head. When the ring breaks in the middle
 * of an answer, or another plan comes, the question waits for the next ring that is whole and is asked again there, with
 * the tokens that are out: the answer goes on behind them, in the words that it would have had.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'
import { EngineError, type ErrorCode } from '../errors.ts'
import {
  maxControlBytes,
  parseControlMessage,
  type Begun,
  type ChatEvent,
  type ChatRequest,
} from '../protocol.ts'
import type { AnswerEvent } from './messages.ts'
import type { RingState } from './ring-state.ts'

/** A ring that nothing was heard of for so long will not come: longer than the server keeps a seat, and then plans. */
const patienceMs = 30_000

export type OwnQuestionsOptions = {
  onchat(event: AnswerEvent): void
  send(head: DeviceId, request: ChatRequest): void
  ring(): RingState
  /** An answer waits for this device, whose seat the server keeps. */
  onmissed(device: DeviceId): void
}

export interface OwnQuestions {
  ask(head: DeviceId, request: ChatRequest): void
  /** An event from a head; events of chats that it was not asked are nobody's. */
  deliver(from: DeviceId, event: ChatEvent): void
  /** The answers of this head, or of any, will not go on as they began. */
  interrupt(reason: EngineError, head?: DeviceId): void
  /** To be called when anything has changed in {@link OwnQuestionsOptions.ring}. */
  look(): void
  /** Nobody will answer any more. */
  fail(reason: EngineError): void
}

type Question = {
  request: Extract<ChatRequest, { type: 'generate' }>
  /** What the room ran when it was asked. */
  model: string | null
  /** Who was asked last. */
  head: DeviceId
  begun: Begun | null
  askedAtMs: number
  firstAtMs: number | null
  /** A person does not want to hear more. */
  isStopped: boolean
  /** Why it waits, and what it ends with if it waits in vain; null while it is being answered. */
  waits: EngineError | null
  wasAskedAgain: boolean
  /** As the page was last told. */
  pause: string
}

export function createOwnQuestions({ onchat, send, ring, onmissed }: OwnQuestionsOptions): OwnQuestions {
  const open = new Map<string, Question>()
  const waiting = () => [...open.values()].filter(({ waits }) => waits !== null)
  /** Of the ring, as it was last seen. */
  let news = ''
  let timer: ReturnType<typeof setTimeout> | undefined

  function end({ request: { chat } }: Question, { code, message }: EngineError): void {
    open.delete(chat)
    onchat({ type: 'chat-failed', chat, code, message })
  }

  // ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────

  function wait(question: Question, reason: EngineError): void {
    if (question.isStopped) return end(question, stopped())
    question.waits = reason
    question.pause = ''
    news = ring().news
    haveNews()
    tell(question)
  }

  function haveNews(): void {
    clearTimeout(timer)
    if (waiting().length > 0) timer = setTimeout(giveUp, patienceMs)
  }

  function giveUp(): void {
    for (const question of waiting()) end(question, question.waits!)
  }

  /** A name is kept: who left is in no view any more when the next ring is laid. */
  function tell(question: Question): void {
    const { gone } = ring()
    const pause = gone.length > 0 ? `${gone.join(', ')} left; laying the ring again …` : question.pause
    const message = pause || 'Laying the ring again …'
    if (message === question.pause) return
    question.pause = message
    onchat({ type: 'paused', chat: question.request.chat, message })
  }

  /** What broke a ring is news by and by; one that seems as whole as when it broke is not tried again. */
  function look(): void {
    const state = ring()
    const isNews = state.news !== news
    news = state.news
    if (isNews) haveNews()
    if (waiting().length > 0) state.away.forEach(onmissed)
    for (const question of waiting()) {
      if (state.isHopeless || state.model !== question.model) end(question, question.waits!)
      else if (isNews && state.head !== null) askAgain(question, state.head)
      else tell(question)
    }
  }

  function askAgain(question: Question, head: DeviceId): void {
    const { request, begun } = question
    question.head = head
    question.waits = null
    question.wasAskedAgain = true
    send(head, begun ? { ...request, begun } : request)
  }

  return {
    ask(head, request) {
      const { chat } = request
      const question = open.get(chat)
      if (request.type === 'generate') {
        if (question) {
          const message = 'This conversation is being answered already.'
          return onchat({ type: 'chat-failed', chat, code: 'not-ready', message })
        }
        open.set(chat, {
          request,
          head,
          model: ring().model,
          begun: null,
          askedAtMs: performance.now(),
          firstAtMs: null,
          isStopped: false,
          waits: null,
          wasAskedAgain: false,
          pause: '',
        })
        return send(head, request)
      }
      if (!question) return
      question.isStopped = true
      if (question.waits) end(question, stopped())
      else send(question.head, request)
    },

    deliver(from, event) {
      const question = open.get(event.chat)
      if (!question || question.head !== from || question.waits) return
      switch (event.type) {
        case 'begun':
          question.begun ??= { prompt: event.prompt, said: [] }
          return
        case 'token':
          question.firstAtMs ??= performance.now()
          if (event.id !== undefined) question.begun?.said.push(event.id)
          return event.text === '' ? undefined : onchat(event)
        case 'chat-failed':
          if (!isInterruption(event.code)) break
          wait(question, new EngineError(event.code, event.message))
          return look()
        case 'done': {
          const { firstAtMs, askedAtMs, wasAskedAgain } = question
          if (!wasAskedAgain || firstAtMs === null) break
          open.delete(event.chat)
          // The head that ended it knows only how long its own part took.
          return onchat({ ...event, stats: { ...event.stats, ttftMs: firstAtMs - askedAtMs } })
        }
      }
      if (event.type !== 'queued') open.delete(event.chat)
      onchat(event)
    },

    interrupt(reason, head) {
      for (const question of open.values()) {
        if (question.waits === null && (head ?? question.head) === question.head) wait(question, reason)
      }
    },
    look,
    fail(reason) {
      clearTimeout(timer)
      for (const question of open.values()) end(question, reason)
    },
  }
}

/** A ring that is laid again may go on with what this ended. */
const isInterruption = (code: ErrorCode): boolean => code === 'device-left' || code === 'link-lost'

const stopped = () => new EngineError('aborted', 'The answer was stopped.')

/** Why a question cannot reach a head, the same on every device: a question must not depend on who the head is. */
export function problemOf(request: ChatRequest): AnswerEvent | null {
  if (request.type === 'abort') return null
  const text = JSON.stringify(request)
  const bytes = new TextEncoder().encode(text).length
  const { chat } = request
  if (bytes > maxControlBytes) {
    const message = `This conversation takes ${bytes} bytes; at most ${maxControlBytes} reach the device that answers. Start a new chat, or ask in fewer words.`
    return { type: 'chat-failed', chat, code: 'context-full', message }
  }
  if (parseControlMessage(text) !== null) return null
  const message = 'No device would understand this question: a message or an option of it is out of range.'
  return { type: 'chat-failed', chat, code: 'malformed', message }
}
