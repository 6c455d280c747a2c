/**
 * Chat events by conversation, each as an async iterable that waits for the next.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { AnswerEvent } from '../worker/messages.ts'

type Answer = { events: AnswerEvent[]; wake(): void }

async function* follow(answer: Answer): AsyncIterable<AnswerEvent> {
  for (;;) {
    const event = answer.events.shift()
    if (event === undefined) await new Promise<void>((resolve) => (answer.wake = resolve))
    else if (event.type === 'chat-failed') throw new EngineError(event.code, event.message)
    else {
      yield event
      if (event.type === 'done') return
    }
  }
}

export function createAnswers() {
  const open = new Map<string, Answer>()

  function receive(event: AnswerEvent): void {
    const answer = open.get(event.chat)
    answer?.events.push(event)
    if (event.type === 'done' || event.type === 'chat-failed') open.delete(event.chat)
    answer?.wake()
  }

  return {
    receive,
    /** Listens from now on; ends after 'done'. @throws EngineError what 'chat-failed' says */
    open(chat: string): AsyncIterable<AnswerEvent> {
      const answer: Answer = { events: [], wake: () => {} }
      open.set(chat, answer)
      return follow(answer)
    },
    /** @returns whether the answer was still under way */
    close: (chat: string): boolean => open.delete(chat),
    /** Nobody will answer any more. */
    fail({ code, message }: EngineError): void {
      for (const chat of open.keys()) receive({ type: 'chat-failed', chat, code, message })
    },
  }
}
