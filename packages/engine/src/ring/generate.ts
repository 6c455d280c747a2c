/**
 * The token loop: the prompt, then one token, one trip. A device alone is a ring of one.
 *
 * @module
 */
import type { Logits } from '../model/logits.ts'
import { createGuesses } from './guesses.ts'
import { draftLength, longestDraft, type TripMs } from './trip-times.ts'
import type { Voice, Volleys } from './volleys.ts'

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
  /** Tokens may be guessed and run behind another one, which changes no word; none are when absent. */
  drafts?: DraftOptions
}

export type DraftOptions = {
  /** As many as fit, whatever trips take; else as many as measured trips say. */
  always: boolean
  /** What comes of it is counted here. */
  counts: DraftCounts
}

export type DraftCounts = {
  /** Guesses that were run. */
  drafted: number
  /** Of these, those that came true: tokens that made no trip of their own. */
  accepted: number
  /** Trips of one token without guesses, from the token before it on. */
  singleTrips: number
  singleTripsMs: number
}

export const noDrafts = (): DraftCounts => ({ drafted: 0, accepted: 0, singleTrips: 0, singleTripsMs: 0 })

/** Why the loop ended: the model said so, maxTokens or the context was reached, or the signal was aborted. */
export type StopReason = 'end' | 'length' | 'aborted'

/**
 * Yields token ids, the end token excluded. Others who are being answered may wait for each next one, so that whoever does not
 * read to the end must say so by the generator's `return`.
 *
 * @throws EngineError what {@link Voice.next} throws; `cached` then holds what is known to be everywhere
 */
export async function* generate(input: GenerateInput): AsyncGenerator<number, StopReason> {
  const { volleys, session, prompt, cached, sample, isEnd, maxTokens, contextLength, signal, drafts } = input
  cached.length = reusablePrefix(prompt, cached)
  const most = Math.min(maxTokens, contextLength - prompt.length + 1)
  const drafter = drafts && createDrafter(prompt, isEnd, drafts)
  const voice = volleys.join({ session, cached, sample, signal })
  try {
    let tokens = await voice.next(prompt.slice(cached.length))
    for (let n = 0; tokens !== null;) {
      drafter?.hear(tokens)
      for (const token of tokens) {
        if (isEnd(token)) return 'end'
        yield token
        if (++n >= most) return 'length'
        if (signal.aborted) return 'aborted'
      }
      // Behind the guesses comes one more token.
      tokens = await voice.next(tokens.slice(-1), drafter?.next(voice, most - n - 1))
    }
    return 'aborted'
  } finally {
    voice.leave()
  }
}

const notAlone: { mostGuesses: number; tripMs: TripMs } = { mostGuesses: 0, tripMs: () => null }

/** Guesses of one answer, those that were run and those that might have been. */
function createDrafter(
  prompt: readonly number[],
  isEnd: (token: number) => boolean,
  { always, counts }: DraftOptions,
) {
  const guesses = createGuesses(prompt)
  let draft: number[] = []
  /** What would have been guessed is compared as well, and costs nothing. */
  let foreseen: number[] = []
  let heardAtMs: number | null = null
  return {
    next({ alone }: Voice, most: number): number[] {
      const { mostGuesses, tripMs } = alone() ?? notAlone
      const room = Math.min(most, mostGuesses)
      const length = always ? Math.min(room, longestDraft) : draftLength(guesses.likelihood(), room, tripMs)
      foreseen = guesses.next(Math.max(1, length))
      const end = foreseen.findIndex(isEnd)
      draft = foreseen.slice(0, end < 0 ? length : Math.min(end, length))
      counts.drafted += draft.length
      return draft
    },
    hear(tokens: readonly number[]): void {
      guesses.hear(tokens, draft.length > 0 ? draft : foreseen.slice(0, 1))
      counts.accepted += tokens.length - 1
      const nowMs = performance.now()
      if (heardAtMs !== null && draft.length === 0) {
        counts.singleTrips++
        counts.singleTripsMs += nowMs - heardAtMs
      }
      heardAtMs = nowMs
    },
  }
}

/** How many tokens of the prompt the cache already holds; the last one always runs again, for its logits. */
export function reusablePrefix(prompt: readonly number[], cached: readonly number[]): number {
  let n = 0
  while (n < prompt.length - 1 && n < cached.length && prompt[n] === cached[n]) n++
  return n
}
