/**
 * A conversation as data: what was asked, what was answered, and what of it the model is shown again.
 *
 * @module
 */
import type { AnswerEvent, ChatMessage, GenerateStats } from './cluster.ts'

export type AnswerStatus =
  /** `ahead` answers come first; null until the head has said so. */
  | { is: 'queued'; ahead: number | null }
  | { is: 'streaming' }
  /** It goes on when the ring is whole again; why, in words. */
  | { is: 'paused'; message: string }
  | { is: 'done'; stats: GenerateStats }
  /** Stopped by the person, or by a reload, before the head could say how long it took. */
  | { is: 'stopped' }
  | { is: 'failed'; message: string }

export type Turn = { question: string; answer: string; status: AnswerStatus }

export type Conversation = {
  /** Names the session at the head; a new conversation takes a new one. */
  chat: string
  turns: Turn[]
}

export const isRunning = (turn: Turn | undefined): boolean =>
  turn !== undefined && ['queued', 'streaming', 'paused'].includes(turn.status.is)

/** 96 random bits as hex: fits the protocol's ids, and needs no secure context as randomUUID does. */
export function newConversation(): Conversation {
  const bytes = crypto.getRandomValues(new Uint8Array(12))
  return { chat: Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(''), turns: [] }
}

/**
 * What the model is shown: the turns that were answered, and the question at hand. A turn without an answer is left
 * out whole, because chat templates insist that the roles alternate.
 */
export function messagesFor(turns: readonly Turn[], question: string): ChatMessage[] {
  const answered = turns.filter((turn) => turn.answer.trim() !== '')
  return [
    ...answered.flatMap((turn): ChatMessage[] => [
      { role: 'user', content: turn.question },
      { role: 'assistant', content: turn.answer },
    ]),
    { role: 'user', content: question },
  ]
}

/** The turn after one event of its answer. */
export function turnAfter(turn: Turn, event: AnswerEvent): Turn {
  switch (event.type) {
    case 'queued':
      // The head says 0 when it begins; text that is already there keeps its status.
      return {
        ...turn,
        status: turn.answer === '' ? { is: 'queued', ahead: event.ahead } : { is: 'streaming' },
      }
    case 'token':
      return { ...turn, answer: turn.answer + event.text, status: { is: 'streaming' } }
    case 'paused':
      return { ...turn, status: { is: 'paused', message: event.message } }
    case 'done':
      return { ...turn, status: { is: 'done', stats: event.stats } }
    case 'chat-failed':
      return { ...turn, status: { is: 'failed', message: event.message } }
  }
}

/** A conversation as it is kept between visits. */
export const toText = (conversation: Conversation): string => JSON.stringify(conversation)

/**
 * What {@link toText} wrote; null for anything else. An answer that was under way when the page went is one that
 * stopped.
 */
export function fromText(text: string | null): Conversation | null {
  if (text === null) return null
  try {
    const { chat, turns } = JSON.parse(text) as Partial<Conversation>
    if (typeof chat !== 'string' || !/^[A-Za-z0-9_-]{8,64}$/.test(chat)) return null
    if (!Array.isArray(turns) || !turns.every(isTurn)) return null
    return {
      chat,
      turns: turns.map((turn) => (isRunning(turn) ? { ...turn, status: { is: 'stopped' } } : turn)),
    }
  } catch {
    return null
  }
}

function isTurn(value: unknown): value is Turn {
  const turn = value as Partial<Turn> | null
  if (typeof turn?.question !== 'string' || typeof turn.answer !== 'string') return false
  switch (turn.status?.is) {
    case 'queued':
    case 'streaming':
    case 'stopped':
      return true
    case 'paused':
    case 'failed':
      return typeof turn.status.message === 'string'
    case 'done': {
      const { stats } = turn.status
      return [stats?.ttftMs, stats?.tpotMs, stats?.promptTokens, stats?.outputTokens].every(Number.isFinite)
    }
    default:
      return false
  }
}
