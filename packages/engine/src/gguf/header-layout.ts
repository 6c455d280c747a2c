/**
 * The layout of a GGUF header, top to bottom: magic, version, metadata, tensor table. Limits first.
 *
 * Source: GGUF specification, ggml/docs/gguf.md.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { ggmlTypes } from './ggml-types.ts'
import type { GgufHeader, TensorInfo } from './header.ts'
import { type HeaderCursor, type NumberFormat, numberFormats, type Reading } from './header-cursor.ts'

/** Most metadata keys and tensors accepted; models of a trillion weights have a few thousand. */
const maxKeys = 65_536
const maxTensors = 65_536
/** Of a metadata array; the largest vocabularies have 260,000 tokens and 600,000 merges. */
const maxArrayLength = 8_000_000
/** ggml's tensors have up to four dimensions (GGML_MAX_DIMS). */
const maxDimensions = 4

export function* ggufHeader(
  cursor: HeaderCursor,
  file: { sizeBytes: number; revision: string },
): Reading<GgufHeader> {
  yield* magic(cursor)
  yield* version(cursor)
  // the least that an entry takes: name length, dimensions, one of them, type and offset; key length, type and a byte
  const tensorCount = yield* cursor.count('tensors', 32, maxTensors)
  const keyCount = yield* cursor.count('metadata keys', 13, maxKeys)

  const metadata = new Map<string, unknown>()
  for (let i = 0; i < keyCount; i++) {
    const key = yield* cursor.string()
    if (metadata.has(key)) throw damaged(`the metadata key ${quote(key)} appears twice`)
    metadata.set(key, yield* value(cursor, key, yield* cursor.uint32(), 0))
  }
  refuseSplit(metadata)

  const entries: TensorEntry[] = []
  for (let i = 0; i < tensorCount; i++) entries.push(yield* tensorEntry(cursor))
  const headerBytes = cursor.position
  return {
    // not assigned key by key: a key named __proto__ must stay a key
    metadata: Object.fromEntries(metadata),
    tensors: place(entries, headerBytes, alignmentOf(metadata), file.sizeBytes),
    sizeBytes: file.sizeBytes,
    revision: file.revision,
    headerBytes,
  }
}

function* magic(cursor: HeaderCursor): Reading<void> {
  const first = yield* cursor.peek(4)
  const text = String.fromCharCode(...first)
  if (text !== 'GGUF') {
    const hex = Array.from(first, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
    throw new EngineError(
      'not-gguf',
      `This is not a GGUF file: it begins with ${first.length === 0 ? 'nothing, it is empty' : `${quote(text)} (${hex})`} ` +
        'instead of "GGUF". Check the address; a web page in place of the file is the usual reason.',
    )
  }
  yield* cursor.uint32()
}

function* version(cursor: HeaderCursor): Reading<void> {
  const number = yield* cursor.uint32()
  if (number === 2 || number === 3) return
  if (number !== 0 && number % 0x1_00_00 === 0) {
    throw new EngineError(
      'unsupported-model',
      'This GGUF file is big-endian; Hearth reads little-endian files. Choose the usual version of the model.',
    )
  }
  throw new EngineError(
    'unsupported-model',
    `This is a GGUF file of version ${number}; Hearth reads versions 2 and 3. Choose a newer conversion of the model.`,
  )
}

/** Number formats by metadata value type; 7, 8 and 9 are boolean, string and array. */
const formats = new Map<number, NumberFormat>([
  [0, numberFormats.uint8],
  [1, numberFormats.int8],
  [2, numberFormats.uint16],
  [3, numberFormats.int16],
  [4, numberFormats.uint32],
  [5, numberFormats.int32],
  [6, numberFormats.float32],
  [10, numberFormats.uint64],
  [11, numberFormats.int64],
  [12, numberFormats.float64],
])
const boolType = 7
const stringType = 8
const arrayType = 9

function* value(cursor: HeaderCursor, key: string, type: number, depth: number): Reading<unknown> {
  const format = formats.get(type)
  if (format) return yield* cursor.number(format)
  if (type === boolType) return (yield* cursor.number(numberFormats.uint8)) !== 0
  if (type === stringType) return yield* cursor.string()
  if (type === arrayType && depth < 2) return yield* array(cursor, key, depth)
  throw damaged(
    type === arrayType
      ? `the metadata value ${quote(key)} nests arrays more than two deep`
      : `the metadata value ${quote(key)} has type ${type}, and GGUF has types 0 to 12`,
  )
}

function* array(cursor: HeaderCursor, key: string, depth: number): Reading<unknown[]> {
  const type = yield* cursor.uint32()
  const format = formats.get(type)
  const minBytes = format?.bytes ?? (type === stringType ? 8 : type === arrayType ? 12 : 1)
  const count = yield* cursor.count(`values of ${quote(key)}`, minBytes, maxArrayLength)
  if (format) return yield* cursor.numbers(format, count)
  if (type === stringType) return yield* cursor.strings(count)
  const values: unknown[] = []
  for (let i = 0; i < count; i++) values.push(yield* value(cursor, key, type, depth + 1))
  return values
}

/** A tensor as the table has it: its offset counts from the end of the header. */
type TensorEntry = Omit<TensorInfo, 'offset'> & { relative: number | bigint }

function* tensorEntry(cursor: HeaderCursor): Reading<TensorEntry> {
  const name = yield* cursor.string()
  const dimensions = yield* cursor.uint32()
  if (dimensions < 1 || dimensions > maxDimensions) {
    throw damaged(`tensor ${quote(name)} has ${dimensions} dimensions, and ggml allows 1 to ${maxDimensions}`)
  }
  const shape: number[] = []
  for (let i = 0; i < dimensions; i++) {
    const size = yield* cursor.uint64()
    if (typeof size === 'bigint' || size < 1)
      throw damaged(`tensor ${quote(name)} has a dimension of ${size}`)
    shape.push(size)
  }
  const id = yield* cursor.uint32()
  const type = ggmlTypes.get(id)
  if (!type) {
    throw new EngineError(
      'unsupported-model',
      `Tensor ${quote(name)} has weight type number ${id}, which Hearth does not know. Choose another version of the model.`,
    )
  }
  const [spelling, blockWeights, blockBytes] = type
  const weights = shape.reduce((product, size) => product * size, 1)
  if (!Number.isSafeInteger(weights * blockBytes) || shape[0]! % blockWeights !== 0) {
    throw damaged(`tensor ${quote(name)} claims the impossible shape ${shape.join(' × ')} for ${spelling}`)
  }
  const byteLength = (weights / blockWeights) * blockBytes
  return { name, type: spelling, shape, byteLength, relative: yield* cursor.uint64() }
}

/** Absolute offsets, checked: every tensor aligned and inside the file, no name twice. */
function place(
  entries: TensorEntry[],
  headerBytes: number,
  alignment: number,
  sizeBytes: number,
): TensorInfo[] {
  const dataOffset = Math.ceil(headerBytes / alignment) * alignment
  const names = new Set<string>()
  let end = headerBytes
  const tensors = entries.map(({ name, type, shape, byteLength, relative }) => {
    if (names.has(name)) throw damaged(`tensor ${quote(name)} appears twice`)
    names.add(name)
    const offset = dataOffset + Number(relative)
    if (offset % alignment !== 0) {
      throw damaged(`tensor ${quote(name)} lies at byte ${offset}, which is not a multiple of ${alignment}`)
    }
    end = Math.max(end, offset + byteLength)
    return { name, type, shape, offset, byteLength }
  })
  if (end <= sizeBytes) return tensors
  throw new EngineError(
    'model-truncated',
    `The model's header promises ${end} bytes, but the file has ${sizeBytes}: it is cut off. Fetch it again.`,
  )
}

function alignmentOf(metadata: ReadonlyMap<string, unknown>): number {
  const alignment = metadata.get('general.alignment') ?? 32
  if (typeof alignment === 'number' && alignment >= 8 && alignment <= 65_536 && alignment % 8 === 0)
    return alignment
  throw damaged(`general.alignment is ${quote(String(alignment))}, not a multiple of 8 up to 65536`)
}

function refuseSplit(metadata: ReadonlyMap<string, unknown>): void {
  const parts = metadata.get('split.count')
  if (typeof parts !== 'number' || parts <= 1) return
  throw new EngineError(
    'unsupported-model',
    `This file is one of ${parts} parts of a split model, and Hearth reads whole files. ` +
      'Join the parts with llama-gguf-split --merge, or choose a version in one file.',
  )
}

function damaged(what: string): EngineError {
  return new EngineError('not-gguf', `The model's header is damaged: ${what}. Fetch the file again.`)
}

/** A stranger's text, short enough for a sentence. */
function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
