/**
 * The seam between a tokenizer and the way its vocabulary was made: text without special tokens in, tokens out.
 *
 * Implementations: `bpe.ts`, `sentence-piece.ts`.
 *
 * @module
 */
export interface TextModel {
  /** Whether a text begins with BOS where the file does not say. */
  readonly addBos: boolean
  /** The first space of a text is the model's own and not the writer's. */
  readonly stripsFirstSpace: boolean
  /** Appends the tokens of `text`. @param first the text begins a text or follows a special token */
  encode(text: string, out: number[], first: boolean): void
  /** What a token that is not a control token writes, in UTF-8; possibly a part of a character. */
  bytes(id: number): Uint8Array
}
