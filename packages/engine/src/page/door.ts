/**
 * Lets programs of the house in: what they ask the server over HTTP comes to this device, which asks the room as it does
 * for its own page, and gives the words back to the server.
 *
 * @module
 */
import { toEngineError } from '../errors.ts'
import { maxAnswerChars, type FromDevice, type FromServer, type QuestionId } from '../protocol.ts'
import type { Cluster } from './cluster.ts'
import { createStopTexts } from './stop-texts.ts'

/** Words of less time go together: three answers then stay far below what the server takes from a device. */
const gapMs = 50
/** The server waits as long as it hears that somebody is at it. Hidden tabs may run their timers once a minute. */
const signOfLifeMs = 15_000

export type FromProgram = Extract<FromServer, { type: 'question' | 'question-stop' }>
type Asked = Extract<FromProgram, { type: 'question' }>

export type DoorOptions = {
  generate: Cluster['generate']
  send(message: FromDevice): void
}

export interface Door {
  receive(message: FromProgram, isOpen: boolean): void
  /** Nobody hears the answers any more. */
  hangUp(): void
}

export function createDoor({ generate, send }: DoorOptions): Door {
  const open = new Map<QuestionId, { controller: AbortController; slot: number }>()

  /**
   * Programs send the whole conversation each time and do not name it. One that goes on by itself finds its own slot again,
   * and the KV cache of its last turn with it.
   */
  function freeSlot(): number {
    const used = new Set([...open.values()].map(({ slot }) => slot))
    let slot = 1
    while (used.has(slot)) slot++
    return slot
  }

  async function answer({ question, messages, options, stop }: Asked): Promise<void> {
    const controller = new AbortController()
    const slot = freeSlot()
    open.set(question, { controller, slot })
    const words = createWords((text) => send({ type: 'answer', question, text }))
    const stops = createStopTexts(stop)
    const signs = setInterval(() => send({ type: 'answer', question, text: '' }), signOfLifeMs)
    try {
      for await (const event of generate(`program-${slot}`, messages, options, controller.signal)) {
        if (event.type === 'token' && !stops.isOver()) {
          words.say(stops.push(event.text))
          if (stops.isOver()) controller.abort()
        }
        if (event.type !== 'done') continue
        words.say(stops.rest())
        words.flush()
        // It was stopped because it had come to its end.
        const stats = stops.isOver() ? { ...event.stats, stop: 'end' as const } : event.stats
        send({ type: 'answer-done', question, stats })
      }
    } catch (thrown) {
      words.say(stops.rest())
      words.flush()
      const { code, message } = toEngineError(thrown)
      send({ type: 'answer-failed', question, code, message })
    } finally {
      clearInterval(signs)
      open.delete(question)
    }
  }

  return {
    receive(message, isOpen) {
      const { question } = message
      if (message.type === 'question-stop') open.get(question)?.controller.abort()
      else if (isOpen) void answer(message)
      else {
        const closed = 'This device lets no programs in any more.'
        send({ type: 'answer-failed', question, code: 'not-ready', message: closed })
      }
    },
    hangUp() {
      for (const { controller } of open.values()) controller.abort()
    },
  }
}

/** Words in messages {@link gapMs} apart at least; the first at once. */
function createWords(send: (text: string) => void) {
  let held = ''
  let sentAtMs = -Infinity
  let timer: ReturnType<typeof setTimeout> | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    if (held === '') return
    send(held)
    held = ''
    sentAtMs = performance.now()
  }

  return {
    flush,
    say(text: string): void {
      if (held.length + text.length > maxAnswerChars) flush()
      held += text
      const waitMs = sentAtMs + gapMs - performance.now()
      if (waitMs <= 0) flush()
      else timer ??= setTimeout(flush, waitMs)
    },
  }
}
