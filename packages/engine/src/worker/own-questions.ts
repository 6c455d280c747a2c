/**
 * This device's questions while another device, the head, answers them.
 *
 * @module
 */
import type { EngineError } from '../errors.ts'
import { maxControlBytes, parseControlMessage, type ChatEvent, type ChatRequest } from '../protocol.ts'

export interface OwnQuestions {
  asked(chat: string): void
  /** An event from the head; events of chats that were not asked are nobody's. */
  deliver(event: ChatEvent): void
  /** Nobody will answer any more. */
  fail(error: EngineError): void
}

export function createOwnQuestions(onchat: (event: ChatEvent) => void): OwnQuestions {
  const open = new Set<string>()
  return {
    asked: (chat) => void open.add(chat),
    deliver(event) {
      if (!open.has(event.chat)) return
      if (event.type === 'done' || event.type === 'chat-failed') open.delete(event.chat)
      onchat(event)
    },
    fail({ code, message }) {
      for (const chat of open) onchat({ type: 'chat-failed', chat, code, message })
      open.clear()
    },
  }
}

/** Why a question cannot reach a head, the same on every device: a question must not depend on who the head is. */
export function problemOf(request: ChatRequest): ChatEvent | null {
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
