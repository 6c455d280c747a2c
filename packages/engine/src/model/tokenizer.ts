/**
 * Text ⇄ tokens, from a GGUF header's metadata; ids as llama.cpp gives them.
 *
 * Encoding is our own, judged by llama.cpp's ids and by `@huggingface/tokenizers` in tokenizer.test.ts. That package
 * gives the same ids for byte-level vocabularies, but it parses special tokens in every text, a stranger's message
 * included, wants merges that SentencePiece vocabularies in GGUF do not have, and takes 540 ms and 75 MB for Llama 3's
 * vocabulary where these files take 150 ms and 18 MB (Node 20, two shared cores).
 *
 * @module
 */
import { createBpe } from './bpe.ts'
import { createSentencePiece } from './sentence-piece.ts'
import { splitAtSpecial, type TextPart } from './special-tokens.ts'
import type { TextModel } from './text-model.ts'
import { createTokenDecoder, type TokenDecoder } from './token-decoder.ts'
import { broken, readVocabulary, tokenKind, type Vocabulary } from './vocabulary.ts'

export interface Tokenizer {
  readonly vocabSize: number
  /** Begins a text; null where the model has none. */
  readonly bos: number | null
  /** Ends a text; {@link isEnd} knows more ends. */
  readonly eos: number | null
  /** As in the vocabulary, e.g. '<|im_end|>'. */
  textOf(id: number): string
  /**
   * @param options.special whether special tokens in the text are parsed; a stranger's text never should be
   * @param options.addBos the model's own habit when absent
   */
  encode(text: string, options: { special: boolean; addBos?: boolean }): number[]
  /**
   * One text from parts that are trusted or not: as `encode` of them joined, but special only in the parts that say so.
   *
   * @param options.continues the text goes on from another: no BOS, and no space before it that it does not have
   */
  encodeParts(parts: readonly TextPart[], options?: { addBos?: boolean; continues?: boolean }): number[]
  /** Bytes of one token; none for control tokens. */
  bytesOf(id: number): Uint8Array
  /** Control tokens are left out. */
  decode(ids: readonly number[]): string
  /** For tokens that arrive one by one: never splits a character. */
  createDecoder(): TokenDecoder
  /** Whether this token ends an answer. */
  isEnd(id: number): boolean
}

const models: Readonly<Record<string, (metadata: Metadata, vocabulary: Vocabulary) => TextModel>> = {
  gpt2: createBpe,
  llama: createSentencePiece,
}
type Metadata = Readonly<Record<string, unknown>>

/** @throws EngineError 'unsupported-model' for other kinds of tokenizers, and when what one needs is missing */
export function createTokenizer({ metadata }: { metadata: Metadata }): Tokenizer {
  const kind = metadata['tokenizer.ggml.model']
  const create = typeof kind === 'string' && Object.hasOwn(models, kind) ? models[kind] : undefined
  if (!create) {
    const found = kind === undefined ? 'missing' : JSON.stringify(String(kind).slice(0, 40))
    throw broken(`its tokenizer is ${found}; Hearth knows "gpt2" (byte-pair) and "llama" (SentencePiece)`)
  }
  const vocabulary = readVocabulary(metadata)
  const { texts, kinds, bos, eos, ends } = vocabulary
  const model = create(metadata, vocabulary)
  const habit = vocabulary.addBos ?? model.addBos

  const encodeParts: Tokenizer['encodeParts'] = (parts, { addBos = habit, continues = false } = {}) => {
    const out: number[] = addBos && !continues && bos !== null ? [bos] : []
    let first = !continues
    for (const fragment of splitAtSpecial(parts, vocabulary.special)) {
      if (typeof fragment === 'number') out.push(fragment)
      else model.encode(fragment, out, first)
      first = typeof fragment === 'number'
    }
    return out
  }

  const silent = new Uint8Array(0)
  const bytesOf = (id: number): Uint8Array => {
    const tokenType = kinds[id]
    const writes =
      tokenType === tokenKind.normal || tokenType === tokenKind.userDefined || tokenType === tokenKind.byte
    return writes ? model.bytes(id) : silent
  }

  const createDecoder = () => createTokenDecoder(bytesOf, model.stripsFirstSpace)
  return {
    vocabSize: texts.length,
    bos,
    eos,
    textOf: (id) => texts[id] ?? '',
    encode: (text, { special, ...options }) => encodeParts([{ text, special }], options),
    encodeParts,
    bytesOf,
    decode(ids) {
      const decoder = createDecoder()
      return ids.map(decoder.push).join('') + decoder.flush()
    },
    createDecoder,
    isEnd: (id) => ends.has(id),
  }
}
