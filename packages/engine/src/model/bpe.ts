/**
 * Byte-level byte-pair encoding: words → bytes → tokens, by the merges of a GGUF vocabulary (`tokenizer.ggml.model`
 * 'gpt2').
 *
 * Source: GPT-2's encoder; order of merges and `ignore_merges` as llama.cpp has them.
 *
 * @module
 */
import { byteToChar, charToByte } from './byte-alphabet.ts'
import { mergeNeighbours } from './neighbour-merge.ts'
import { createPreTokenizer } from './pre-tokenizer.ts'
import type { TextModel } from './text-model.ts'
import { broken, list, tokenKind, type Vocabulary } from './vocabulary.ts'

/** @throws EngineError 'unsupported-model' when merges are missing or the pre-tokenizer is not known */
export function createBpe(metadata: Readonly<Record<string, unknown>>, vocabulary: Vocabulary): TextModel {
  const { ids, texts, kinds } = vocabulary
  const pre = metadata['tokenizer.ggml.pre'] ?? 'default'
  const { split, ignoreMerges, addBos } = createPreTokenizer(String(pre))
  const merges = list(metadata, 'merges', 'string')
  if (!merges) throw broken('its byte-pair vocabulary has no merges (tokenizer.ggml.merges)')
  // keyed by the merge as it stands, 'a b': two lookups for each of 280,000 would take longer than all else here
  const ranks = new Map<string, number>()
  for (const [rank, merge] of merges.entries()) if (!ranks.has(merge)) ranks.set(merge, rank)
  const utf8 = new TextEncoder()

  function encodeWord(word: string, out: number[]): void {
    let visible = ''
    for (const byte of utf8.encode(word)) visible += byteToChar[byte]!
    const whole = ignoreMerges ? ids.get(visible) : undefined
    if (whole !== undefined && kinds[whole] === tokenKind.normal) {
      out.push(whole)
      return
    }
    const pieces = mergeNeighbours(
      visible,
      (start, middle, end) =>
        ranks.get(`${visible.slice(start, middle)} ${visible.slice(middle, end)}`) ?? Infinity,
    )
    for (const piece of pieces) pushToken(piece, out)
  }

  /** A merge may name a piece that is no token: then its bytes are. A byte that is none is left out, as llama.cpp does. */
  function pushToken(piece: string, out: number[]): void {
    const id = ids.get(piece)
    if (id !== undefined) out.push(id)
    else if (piece.length > 1) for (const char of piece) pushToken(char, out)
  }

  return {
    addBos,
    stripsFirstSpace: false,
    encode(text, out) {
      for (const word of split(text)) encodeWord(word, out)
    },
    bytes(id) {
      const text = texts[id]!
      if (kinds[id] === tokenKind.userDefined) return utf8.encode(text)
      return Uint8Array.from(
        Array.from(text).flatMap((char) => charToByte.get(char) ?? [...utf8.encode(char)]),
      )
    },
  }
}
