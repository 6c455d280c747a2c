/**
 * Finds an answer's text among the tokens it was generated with.
 *
 * @module
 */
import type { Tokenizer } from './tokenizer.ts'

const spaceByte = 0x20

/**
 * @param text the answer as it came back with the conversation
 * @param at where in `cached` the answer would begin
 * @returns its tokens, and the end of the text where the cache ends first (the last token of an answer may not have run);
 *   null when the cache holds another answer
 */
export function answerInCache(
  text: string,
  cached: readonly number[],
  at: number,
  { bytesOf }: Pick<Tokenizer, 'bytesOf'>,
): { ids: number[]; rest: string } | null {
  const wanted = new TextEncoder().encode(text)
  const isWhole = (end: number) => end === wanted.length || (wanted[end]! & 0xc0) !== 0x80
  let matched = 0
  /** Tokens and bytes up to the last whole character. */
  let kept = { tokens: 0, bytes: 0 }
  for (let i = at; i < cached.length && matched < wanted.length; i++) {
    let bytes = bytesOf(cached[i]!)
    if (bytes.length === 0) break
    // SentencePiece begins a text with a space that decoding drops
    if (i === at && bytes[0] === spaceByte && wanted[0] !== spaceByte) bytes = bytes.subarray(1)
    if (!bytes.every((byte, n) => byte === wanted[matched + n])) return null
    matched += bytes.length
    if (isWhole(matched)) kept = { tokens: i + 1 - at, bytes: matched }
  }
  return {
    ids: cached.slice(at, at + kept.tokens),
    rest: new TextDecoder('utf-8', { ignoreBOM: true }).decode(wanted.subarray(kept.bytes)),
  }
}
