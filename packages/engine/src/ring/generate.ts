/**
 * The token loop: prefill the prompt in chunks, then one token, one trip. A device alone is a ring of one.
 *
 * @module
 */
import type { Head } from '../model/layers.ts'
import type { Ring } from './ring.ts'

export type GenerateInput = {
  ring: Ring
  head: Head
  session: number
  /** The whole conversation as tokens, the new question included. */
  prompt: readonly number[]
  /** What the session's KV cache holds already, on every device: kept up to date here, token by token. */
  cached: number[]
  sample(logits: Float32Array): number
  isEnd(token: number): boolean
  maxTokens: number
  /** Positions the KV cache may hold. */
  contextLength: number
  signal: AbortSignal
}

/** Why the loop ended: the model said so, maxTokens or the context was reached, or the signal was aborted. */
export type StopReason = 'end' | 'length' | 'aborted'

/**
 * Yields token ids, the end token excluded.
 *
 * Passes under way are waited for before returning, whatever the reason, so that no frame of this answer meets the
 * next one on the ring.
 *
 * @throws EngineError what {@link Ring.pass} throws; `cached` then holds what is known to be everywhere
 */
export async function* generate(input: GenerateInput): AsyncGenerator<number, StopReason> {
  const { ring, head, session, prompt, cached, sample, isEnd, maxTokens, contextLength, signal } = input

  const start = reusablePrefix(prompt, cached)
  cached.length = start
  let hidden = await prefill(start)
  for (let n = 1; hidden !== null; n++) {
    const token = sample(await head.logits(hidden))
    if (isEnd(token)) return 'end'
    yield token
    if (n === maxTokens || cached.length + 1 > contextLength) return 'length'
    if (signal.aborted) break
    const embedded = await head.embed([token])
    const { passed } = ring.pass({ session, position: cached.length, rows: 1, hidden: embedded })
    hidden = (await passed).hidden
    cached.push(token)
  }
  return 'aborted'

  /**
   * Chunks follow one another round the ring without waiting. One row ends what was begun when the question is aborted:
   * somebody may be waiting for more.
   *
   * @returns the last row, or null when aborted
   */
  async function prefill(from: number): Promise<Float32Array | null> {
    const chunks: Promise<{ hidden: Float32Array }>[] = []
    let position = from
    for (let more = true; more;) {
      const tokens = prompt.slice(position, position + (signal.aborted ? 1 : ring.chunkRows))
      const hidden = await head.embed(tokens)
      more = position + tokens.length < prompt.length && !signal.aborted
      const rows = tokens.length
      const { sent, passed } = ring.pass({ session, position, rows, ...(more ? { more } : {}), hidden })
      position += rows
      chunks.push(passed.then((a) => (cached.push(...tokens), a)))
      await sent
    }
    const rows = await Promise.all(chunks)
    return signal.aborted ? null : rows.at(-1)!.hidden
  }
}

/** How many tokens of the prompt the cache already holds; the last one always runs again, for its logits. */
export function reusablePrefix(prompt: readonly number[], cached: readonly number[]): number {
  let n = 0
  while (n < prompt.length - 1 && n < cached.length && prompt[n] === cached[n]) n++
  return n
}
