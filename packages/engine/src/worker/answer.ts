/**
 * One answer: what of it is out, and how it goes on where it was interrupted.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { createSampler } from '../model/sampler.ts'
import type { Begun, ChatMessage, GenerateOptions, GenerateStats } from '../protocol.ts'
import { generate, noDrafts, reusablePrefix, type StopReason } from '../ring/generate.ts'
import type { Volleys } from '../ring/volleys.ts'
import type { Session } from './conversations.ts'
import type { Speech } from './speech.ts'

export interface Answer {
  /** The conversation as tokens, as the answer found it. */
  readonly prompt: readonly number[]
  /**
   * Runs the conversation as far as the session does not hold it, and says the rest of the answer.
   *
   * @throws EngineError what a pass round the ring throws; what is said stays said, and the next call goes on behind it
   */
  speak(session: Session, signal: AbortSignal, say: Say): Promise<StopReason>
  stats(askedAtMs: number, stop: StopReason): GenerateStats
}

/** @param token what completes the text; none for what was left at the end */
export type Say = (text: string, token?: number) => void

export type AnswerOptions = {
  volleys: Volleys
  speech: Speech
  contextLength: number
  messages: readonly ChatMessage[]
  options: GenerateOptions
  /** Tokens that the conversation's session holds as the answer begins. */
  cached: readonly number[]
  /** What is out already, where another ring began the answer. */
  begun?: Begun | undefined
}

/**
 * @throws EngineError 'context-full' when the conversation leaves no room for an answer; 'malformed' when it was begun
 *   with tokens that the model does not have
 */
export function createAnswer({ volleys, speech, contextLength, ...asked }: AnswerOptions): Answer {
  const { messages, options, cached, begun } = asked
  const prompt = begun?.prompt ?? speech.encodeChat(messages, cached)
  /** Tokens that are out. */
  const said = [...(begun?.said ?? [])]
  const saidBefore = said.length
  if ([...prompt, ...said].some((token) => token >= speech.vocabSize))
    throw new EngineError('malformed', 'This answer was begun by another model. Ask again.')
  if (prompt.length >= contextLength) {
    throw new EngineError(
      'context-full',
      `This conversation has ${prompt.length} tokens and the room holds ${contextLength - 1}. Start a new chat, or ask in fewer words.`,
    )
  }
  const cachedTokens = reusablePrefix(prompt, cached)
  const sample = createSampler(options, saidBefore)
  const counts = noDrafts()
  const decoder = speech.createDecoder()
  for (const token of said) decoder.push(token)
  let firstAtMs = 0
  let lastAtMs = 0

  /** The answer may have been interrupted between its last token and its end. */
  const isFull = () => said.length >= options.maxTokens || prompt.length + said.length > contextLength

  return {
    prompt,
    async speak(session, signal, say) {
      if (isFull()) return 'length'
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
        ...(options.drafts === 'never' ? {} : { drafts: { always: options.drafts === 'always', counts } }),
      })
      try {
        let next = await tokens.next()
        for (; !next.done; next = await tokens.next()) {
          lastAtMs = performance.now()
          if (said.length === saidBefore) firstAtMs = lastAtMs
          said.push(next.value)
          say(decoder.push(next.value), next.value)
        }
        const rest = decoder.flush()
        if (rest !== '') say(rest)
        return next.value
      } finally {
        await tokens.return('aborted')
      }
    },

    stats(askedAtMs, stop) {
      const spoken = said.length - saidBefore
      const tpotMs = spoken > 1 ? (lastAtMs - firstAtMs) / (spoken - 1) : 0
      const { drafted, accepted, singleTrips, singleTripsMs } = counts
      return {
        ttftMs: (spoken > 0 ? firstAtMs : performance.now()) - askedAtMs,
        tpotMs,
        tripMs: options.drafts === 'never' ? tpotMs : singleTripsMs / Math.max(1, singleTrips),
        promptTokens: prompt.length,
        cachedTokens,
        outputTokens: said.length,
        draftedTokens: drafted,
        acceptedTokens: accepted,
        stop,
      }
    },
  }
}

/** Of an answer that was never begun. */
export const noStats = (askedAtMs: number, stop: StopReason): GenerateStats => ({
  ttftMs: performance.now() - askedAtMs,
  tpotMs: 0,
  tripMs: 0,
  promptTokens: 0,
  cachedTokens: 0,
  outputTokens: 0,
  draftedTokens: 0,
  acceptedTokens: 0,
  stop,
})
