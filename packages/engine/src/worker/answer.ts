/**
 * One answer: what of it is out, and how it goes on where it was interrupted.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { createSampler } from '../model/sampler.ts'
import type { ChatMessage, GenerateOptions, GenerateStats } from '../protocol.ts'
import { generate, reusablePrefix, type StopReason } from '../ring/generate.ts'
import type { Volleys } from '../ring/volleys.ts'
import type { Session } from './conversations.ts'
import type { Speech } from './speech.ts'

export interface Answer {
  /**
   * Runs the conversation as far as the session does not hold it, and says the rest of the answer.
   *
   * @throws EngineError what a pass round the ring throws; what is said stays said, and the next call goes on behind it
   */
  speak(session: Session, signal: AbortSignal, say: (text: string) => void): Promise<StopReason>
  stats(askedAtMs: number, stop: StopReason): GenerateStats
}

export type AnswerOptions = {
  volleys: Volleys
  speech: Speech
  contextLength: number
  messages: readonly ChatMessage[]
  options: GenerateOptions
  /** Tokens that the conversation's session holds as the answer begins. */
  cached: readonly number[]
}

/** @throws EngineError 'context-full' when the conversation leaves no room for an answer */
export function createAnswer({ volleys, speech, contextLength, ...asked }: AnswerOptions): Answer {
  const { messages, options, cached } = asked
  const prompt = speech.encodeChat(messages, cached)
  if (prompt.length >= contextLength) {
    throw new EngineError(
      'context-full',
      `This conversation has ${prompt.length} tokens and the room holds ${contextLength - 1}. Start a new chat, or ask in fewer words.`,
    )
  }
  const cachedTokens = reusablePrefix(prompt, cached)
  const sample = createSampler(options)
  const decoder = speech.createDecoder()
  /** Tokens that are out. */
  const said: number[] = []
  let firstAtMs = 0
  let lastAtMs = 0

  return {
    async speak(session, signal, say) {
      const tokens = generate({
        volleys,
        session: session.id,
        prompt: [...prompt, ...said],
        cached: session.cached,
        sample,
        isEnd: speech.isEnd,
        maxTokens: options.maxTokens - said.length,
        contextLength,
        signal,
      })
      try {
        let next = await tokens.next()
        for (; !next.done; next = await tokens.next()) {
          lastAtMs = performance.now()
          if (said.length === 0) firstAtMs = lastAtMs
          said.push(next.value)
          say(decoder.push(next.value))
        }
        say(decoder.flush())
        return next.value
      } finally {
        await tokens.return('aborted')
      }
    },

    stats: (askedAtMs, stop) => ({
      ttftMs: (said.length > 0 ? firstAtMs : performance.now()) - askedAtMs,
      tpotMs: said.length > 1 ? (lastAtMs - firstAtMs) / (said.length - 1) : 0,
      promptTokens: prompt.length,
      cachedTokens,
      outputTokens: said.length,
      stop,
    }),
  }
}

/** Of an answer that was never begun. */
export const noStats = (askedAtMs: number, stop: StopReason): GenerateStats => ({
  ttftMs: performance.now() - askedAtMs,
  tpotMs: 0,
  promptTokens: 0,
  cachedTokens: 0,
  outputTokens: 0,
  stop,
})
