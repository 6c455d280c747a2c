/**
 * The token loop: the prompt, then one token, one trip. A device alone is a ring of one.
 *
 * @module
 */
import type { Logits } from '../model/logits.ts'
import type { Volleys } from './volleys.ts'

export type GenerateInput = {
  volleys: Volleys
  session: number
  /** The whole conversation as tokens, the new question included. */
  prompt: readonly number[]
  /** What the session's KV cache holds already, on every device: kept up to date, token by token. */
  cached: number[]
  sample(logits: Logits): number
  isEnd(token: number): boolean
  maxTokens: number
  /** Positions the KV cache may hold. */
  contextLength: number
  signal: AbortSignal
}

/** Why the loop ended: the model said so, maxTokens or the context was reached, or the signal was aborted. */
export type StopReason = 'end' | 'length' | 'aborted'

/**
 * Yields token ids, the end token excluded. Others who are being answered may wait for each next one, so that whoever does not
 * read to the end must say so by the generator's `return`.
 *
 * @throws EngineError what {@link Voice.next} throws; `cached` then holds what is known to be everywhere
 */
export async function* generate(input: GenerateInput): AsyncGenerator<number, StopReason> {
  const { volleys, session, prompt, cached, sample, isEnd, maxTokens, contextLength, signal } = input
  cached.length = reusablePrefix(prompt, cached)
  const voice = volleys.join({ session, cached, sample, signal })
  try {
    let token = await voice.next(prompt.slice(cached.length))
    for (let n = 1; token !== null; n++) {
      if (isEnd(token)) return 'end'
      yield token
      if (n === maxTokens || cached.length + 1 > contextLength) return 'length'
      if (signal.aborted) break
      token = await voice.next([token])
    }
    return 'aborted'
  } finally {
    voice.leave()
  }
}

/** How many tokens of the prompt the cache already holds; the last one always runs again, for its logits. */
export function reusablePrefix(prompt: readonly number[], cached: readonly number[]): number {
  let n = 0
  while (n < prompt.length - 1 && n < cached.length && prompt[n] === cached[n]) n++
  return n
}
