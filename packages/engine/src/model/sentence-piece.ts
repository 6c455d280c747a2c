/**
 * SentencePiece's byte-pair model with scores (`tokenizer.ggml.model` 'llama'): spaces become '▁', neighbours join in
 * the order of their scores, and what has no token is written as bytes.
 *
 * Source: `bpe_model.cc` of SentencePiece; byte fallback and the space before a text as llama.cpp has them.
 *
 * @module
 */
import { mergeNeighbours } from './neighbour-merge.ts'
import type { TextModel } from './text-model.ts'
import { broken, list, tokenKind, type Vocabulary } from './vocabulary.ts'

/** @throws EngineError 'unsupported-model' when scores are missing */
export function createSentencePiece(
  metadata: Readonly<Record<string, unknown>>,
  vocabulary: Vocabulary,
): TextModel {
  const { ids, texts, kinds } = vocabulary
  const scores = list(metadata, 'scores', 'number')
  if (!scores) throw broken('its SentencePiece vocabulary has no scores (tokenizer.ggml.scores)')
  const addSpace = metadata['tokenizer.ggml.add_space_prefix'] !== false
  const utf8 = new TextEncoder()
  const byteTokens = Array.from({ length: 256 }, (_, byte) => ids.get(byteText(byte)))
  const unknown = kinds.indexOf(tokenKind.unknown)
  const longest = texts.reduce((length, text) => Math.max(length, text.length), 0)

  /** Only text becomes text: a control token's name in a message stays a name. */
  function tokenOf(text: string): number | undefined {
    const id = ids.get(text)
    if (id === undefined) return undefined
    const kind = kinds[id]
    return kind === tokenKind.normal || kind === tokenKind.userDefined || kind === tokenKind.unused
      ? id
      : undefined
  }

  function pushByte(byte: number, out: number[]): void {
    const id = byteTokens[byte] ?? unknown
    if (id >= 0) out.push(id)
  }

  return {
    addBos: true,
    stripsFirstSpace: addSpace,
    encode(text, out, first) {
      const escaped = (first && addSpace ? ` ${text}` : text).replaceAll(' ', '▁')
      const pieces = mergeNeighbours(escaped, (start, _, end) => {
        if (end - start > longest) return Infinity
        const id = tokenOf(escaped.slice(start, end))
        return id === undefined ? Infinity : -scores[id]!
      })
      for (const piece of pieces) {
        const id = tokenOf(piece)
        if (id !== undefined) out.push(id)
        else for (const byte of utf8.encode(piece)) pushByte(byte, out)
      }
    },
    bytes(id) {
      const text = texts[id]!
      if (kinds[id] === tokenKind.byte) return Uint8Array.of(Number.parseInt(text.slice(1, -1), 16))
      return utf8.encode(text.replaceAll('▁', ' '))
    },
  }
}

const byteText = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
