/**
 * What a GGUF file says about itself: metadata and tensor table, read from the first bytes of any {@link RangeSource}.
 *
 * A reader of our own, judged by `@huggingface/gguf` in header.test.ts. That package parses the same files, but cuts a
 * string short without a word where one of its 2 MB pieces ends inside it, reads a truncated file as if zeros followed,
 * drops a leading U+FEFF (a token of SentencePiece vocabularies), parses an array again from its start for every piece
 * it lacks, and gives up above 50 MB; it took 1.0 s for Llama 3's header where this one takes 0.2 s. Hostile files are
 * ours to refuse either way.
 *
 * Source: GGUF specification, ggml/docs/gguf.md.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { RangeSource } from '../store/source.ts'
import { createHeaderCursor } from './header-cursor.ts'
import { ggufHeader } from './header-layout.ts'

export type TensorInfo = {
  name: string
  /** ggml's spelling, also where Hearth does not run the type. */
  type: string
  /** ggml's order: [cols, rows]; one entry for a vector. */
  shape: number[]
  /** Absolute, in the file. */
  offset: number
  byteLength: number
}

export type GgufHeader = {
  /** Integers are Numbers; only those beyond 2⁵³ stay bigints. */
  metadata: Record<string, unknown>
  tensors: TensorInfo[]
  /** Of the whole file. */
  sizeBytes: number
  revision: string
  /** Where the tensor table ends; all of the header is in bytes [0, headerBytes). */
  headerBytes: number
}

/** First piece asked for: the header of a small model. Each further piece is as large as all before it. */
const firstPieceBytes = 256 * 1024

/**
 * Reads the header, asking for each byte at most once and for little more than the header's.
 *
 * @throws EngineError 'not-gguf'; 'model-truncated' when the header or the tensors it promises do not fit in the file;
 *   'unsupported-model' for big-endian files, version 1, split files and unknown tensor types; and what the source throws
 */
export async function readHeader(
  source: RangeSource,
  options: { signal?: AbortSignal } = {},
): Promise<GgufHeader> {
  const file = await source.describe()
  const cursor = createHeaderCursor(file.sizeBytes)
  const reading = ggufHeader(cursor, file)
  let bytes: Uint8Array = new Uint8Array(0)
  let step = reading.next()
  while (!step.done) {
    const wanted = Math.max(step.value, firstPieceBytes, 2 * bytes.length)
    bytes = await extend(source, bytes, Math.min(wanted, file.sizeBytes), options.signal)
    cursor.supply(bytes)
    step = reading.next()
  }
  return step.value
}

/** Fetches what is missing of the file's first `length` bytes. */
async function extend(
  source: RangeSource,
  have: Uint8Array,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  bytes.set(have)
  let at = have.length
  for await (const piece of source.stream(have.length, length, signal)) {
    bytes.set(piece.subarray(0, length - at), at)
    at += piece.length
  }
  if (at >= length) return bytes
  throw new EngineError(
    'model-truncated',
    `${source.url} was said to have more than ${length} bytes, but ended after ${at}. Fetch the file again.`,
  )
}
