/**
 * A model's tokens as GGUF lists them: texts, kinds and the few with a meaning of their own.
 *
 * Source: keys `tokenizer.ggml.*` of the GGUF specification; `llama_vocab` of llama.cpp, whose ids are the judge.
 *
 * @module
 */
import { EngineError } from '../errors.ts'

/** Values of `tokenizer.ggml.token_type`. */
export const tokenKind = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const

export type Vocabulary = {
  /** By id. */
  texts: readonly string[]
  /** By id; of {@link tokenKind}. */
  kinds: Uint8Array
  ids: ReadonlyMap<string, number>
  bos: number | null
  eos: number | null
  /** Tokens that end an answer. */
  ends: ReadonlySet<number>
  /** Put `bos` before a text unless told otherwise; null where the file leaves it to the kind of tokenizer. */
  addBos: boolean | null
  /** Tokens found in a text as a whole, longest first; those not `userDefined` only where special tokens are parsed. */
  special: readonly { id: number; text: string; userDefined: boolean }[]
}

/** Texts of tokens that end a turn, whether or not a file's metadata says so. Source: llama.cpp's end-of-generation list. */
const endTexts = [
  '<|eot_id|>',
  '<|eom_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|end▁of▁sentence|>',
  '<｜end▁of▁sentence｜>',
  '<end_of_turn>',
  '<end_of_utterance>',
  '<EOT>',
  '</s>',
]

/** @throws EngineError 'unsupported-model' when there is no vocabulary or it is not one */
export function readVocabulary(metadata: Readonly<Record<string, unknown>>): Vocabulary {
  const texts = list(metadata, 'tokens', 'string')
  if (!texts || texts.length === 0) throw broken('it has no vocabulary (tokenizer.ggml.tokens)')
  const types = list(metadata, 'token_type', 'number')
  const kinds = Uint8Array.from(texts, (_, id) => types?.[id] ?? tokenKind.normal)
  // the first of two equal texts wins
  const ids = new Map<string, number>()
  for (const [id, text] of texts.entries()) if (!ids.has(text)) ids.set(text, id)

  const ends = new Set<number>()
  for (const name of ['eos', 'eot', 'eom']) {
    const id = tokenId(metadata, name, texts.length)
    if (id !== null) ends.add(id)
  }
  for (const text of endTexts) {
    const id = ids.get(text)
    if (id !== undefined) ends.add(id)
  }
  // some conversions list an end token as ordinary text
  for (const id of ends) kinds[id] = tokenKind.control

  const addBos = metadata['tokenizer.ggml.add_bos_token']
  return {
    texts,
    kinds,
    ids,
    bos: tokenId(metadata, 'bos', texts.length),
    eos: tokenId(metadata, 'eos', texts.length),
    ends,
    addBos: typeof addBos === 'boolean' ? addBos : null,
    special: specialTokens(texts, kinds),
  }
}

function specialTokens(texts: readonly string[], kinds: Uint8Array): Vocabulary['special'] {
  const special = []
  for (const [id, kind] of kinds.entries()) {
    const text = texts[id]!
    const userDefined = kind === tokenKind.userDefined
    const isSpecial = userDefined || kind === tokenKind.control || kind === tokenKind.unknown
    if (isSpecial && text !== '') special.push({ id, text, userDefined })
  }
  return special.sort((a, b) => b.text.length - a.text.length)
}

/** A metadata list of `tokenizer.ggml`, or null when the file has none. @throws EngineError 'unsupported-model' */
export function list(metadata: Readonly<Record<string, unknown>>, name: string, of: 'string'): string[] | null
export function list(metadata: Readonly<Record<string, unknown>>, name: string, of: 'number'): number[] | null
export function list(
  metadata: Readonly<Record<string, unknown>>,
  name: string,
  of: 'string' | 'number',
): unknown[] | null {
  const value = metadata[`tokenizer.ggml.${name}`]
  if (value === undefined) return null
  if (Array.isArray(value) && value.every((item) => typeof item === of)) return value as unknown[]
  throw broken(`its tokenizer.ggml.${name} is not a list of ${of}s`)
}

function tokenId(
  metadata: Readonly<Record<string, unknown>>,
  name: string,
  vocabSize: number,
): number | null {
  const id = metadata[`tokenizer.ggml.${name}_token_id`]
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < vocabSize ? id : null
}

/** What is wrong with a model's vocabulary, as a sentence. */
export function broken(what: string): EngineError {
  return new EngineError(
    'unsupported-model',
    `Hearth cannot read this model's text: ${what}. Choose another version of the model.`,
  )
}
