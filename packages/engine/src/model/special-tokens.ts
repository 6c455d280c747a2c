/**
 * Finds special tokens in text, where they are meant to be found.
 *
 * Source: `tokenizer_st_partition` of llama.cpp: the longest token first, over the whole text, then the next longest in
 * what is left.
 *
 * @module
 */
import type { Vocabulary } from './vocabulary.ts'

/** A piece of a text; `special` where special tokens in it are parsed: in a template's own words, not in a person's. */
export type TextPart = { text: string; special: boolean }

/** A stretch of text, of which `special` says from where to where it is trusted; or a token. */
type Fragment = number | { text: string; trusted: Uint8Array }

/** Text between special tokens, and those tokens, in order. No fragment is empty. */
export function splitAtSpecial(
  parts: readonly TextPart[],
  special: Vocabulary['special'],
): (string | number)[] {
  const text = parts.map((part) => part.text).join('')
  const trusted = new Uint8Array(text.length)
  let at = 0
  for (const part of parts) {
    if (part.special) trusted.fill(1, at, at + part.text.length)
    at += part.text.length
  }
  let fragments: Fragment[] = [{ text, trusted }]
  for (const token of special) {
    if (text.includes(token.text)) {
      fragments = fragments.flatMap((fragment) =>
        typeof fragment === 'number' ? fragment : splitAt(fragment.text, fragment.trusted, token),
      )
    }
  }
  return fragments.flatMap((fragment) =>
    typeof fragment === 'number' ? fragment : fragment.text === '' ? [] : fragment.text,
  )
}

function splitAt(text: string, trusted: Uint8Array, token: Vocabulary['special'][number]): Fragment[] {
  const fragments: Fragment[] = []
  let start = 0
  for (let found = text.indexOf(token.text); found >= 0;) {
    const end = found + token.text.length
    const isMeant = token.userDefined || trusted.subarray(found, end).every((flag) => flag === 1)
    if (isMeant) {
      fragments.push({ text: text.slice(start, found), trusted: trusted.subarray(start, found) }, token.id)
      start = end
    }
    found = text.indexOf(token.text, isMeant ? end : found + 1)
  }
  fragments.push({ text: text.slice(start), trusted: trusted.subarray(start) })
  return fragments
}
