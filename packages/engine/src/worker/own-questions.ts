/**
 * This device's questions while another device, the head, answers them.
 *
 * @module
 */
import type { EngineError } from '../errors.ts'
import type { ChatEvent } from '../protocol.ts'

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
