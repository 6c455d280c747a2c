/**
 * This device's conversation: asks, streams, stops, asks again, and is kept between visits.
 *
 * @module
 */
import { createEffect, createMemo, createSignal, on, onCleanup } from 'solid-js'
import { createStore, unwrap } from 'solid-js/store'
import { sentenceOf, type Cluster, type GenerateOptions } from './cluster.ts'
import { recordAfter, type TrackRecord } from './track-record.ts'
import { fromText, isRunning, messagesFor, newConversation, toText, turnAfter } from './conversation.ts'

const storageKey = 'hearth.conversation'

export type ChatOptions = Pick<GenerateOptions, 'temperature' | 'maxTokens' | 'drafts'>

export type Chat = ReturnType<typeof createChat>

/** @param storage where the conversation outlives the page; null where the browser keeps nothing */
export function createChat(cluster: Cluster, options: ChatOptions, storage: Storage | null) {
  const [conversation, setConversation] = createStore(
    fromText(storage?.getItem(storageKey) ?? null) ?? newConversation(),
  )
  const [record, setRecord] = createSignal<TrackRecord | null>(null)
  let running: AbortController | null = null
  const busy = createMemo(() => isRunning(conversation.turns.at(-1)))

  const keep = () => {
    try {
      storage?.setItem(storageKey, toText(unwrap(conversation)))
    } catch {
      // Storage is full or forbidden: the conversation lives as long as the page.
    }
  }
  createEffect(on([busy, () => conversation.chat, () => conversation.turns.length], keep, { defer: true }))
  // Tokens of a running answer are not worth a write each; leaving the page is.
  window.addEventListener('pagehide', keep)
  onCleanup(() => window.removeEventListener('pagehide', keep))

  async function ask(question: string): Promise<void> {
    const index = conversation.turns.length
    const { chat } = conversation
    const messages = messagesFor(unwrap(conversation.turns), question)
    const controller = new AbortController()
    running = controller
    setConversation('turns', index, { question, answer: '', status: { is: 'queued', ahead: null } })
    // A turn belongs to its conversation: what arrives after "New chat" has nowhere to go.
    const isStillThere = () => conversation.chat === chat && index < conversation.turns.length
    try {
      const sampling: GenerateOptions = {
        ...options,
        topP: 0.95,
        seed: crypto.getRandomValues(new Uint32Array(1))[0]!,
      }
      const plan = cluster.state().room?.numbered?.number
      let isOfOnePlan = true
      for await (const event of cluster.generate(chat, messages, sampling, controller.signal)) {
        if (event.type === 'paused') isOfOnePlan = false
        if (event.type === 'done' && plan !== undefined && isOfOnePlan)
          setRecord((before) => recordAfter(before, plan, event.stats))
        if (isStillThere()) setConversation('turns', index, (turn) => turnAfter(turn, event))
      }
      if (isStillThere() && isRunning(conversation.turns[index])) end({ is: 'stopped' })
    } catch (thrown) {
      if (!isStillThere()) return
      end(controller.signal.aborted ? { is: 'stopped' } : { is: 'failed', message: sentenceOf(thrown) })
    } finally {
      if (running === controller) running = null
    }

    function end(status: { is: 'stopped' } | { is: 'failed'; message: string }) {
      setConversation('turns', index, 'status', status)
    }
  }

  const stop = () => running?.abort()

  return {
    turns: () => conversation.turns,
    /** How long the last answers really took; null before the first. */
    record,
    /** True while an answer is awaited or streams. */
    busy,
    ask,
    stop,
    /** Asks the last question again, with another seed. */
    regenerate(): Promise<void> {
      const last = conversation.turns.at(-1)
      if (!last || busy()) return Promise.resolve()
      setConversation('turns', (turns) => turns.slice(0, -1))
      return ask(last.question)
    },
    /** Forgets this conversation and starts another. */
    startOver() {
      stop()
      setConversation(newConversation())
    },
  }
}
