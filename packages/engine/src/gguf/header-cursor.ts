/**
 * Reads the primitive values of a GGUF header from bytes that are still arriving.
 *
 * Every read is a generator that yields the number of bytes it waits for, counted from the start of the file, whenever
 * it runs out; whoever drives it fetches them (`header.ts`) or reports that there are none. Nothing is read twice.
 *
 * @module
 */
import { EngineError } from '../errors.ts'

/** Yields how many bytes of the file must be there before it can go on. */
export type Reading<T> = Generator<number, T, void>

/** What a header promises can be neither longer than the file nor longer than this: real ones have 1–20 MB. */
export const maxHeaderBytes = 64 * 1024 * 1024

export type NumberFormat = { bytes: number; read: (view: DataView, position: number) => number | bigint }

/** GGUF is little-endian unless its version says otherwise (header.ts refuses those). */
export const numberFormats = {
  uint8: { bytes: 1, read: (v, at) => v.getUint8(at) },
  int8: { bytes: 1, read: (v, at) => v.getInt8(at) },
  uint16: { bytes: 2, read: (v, at) => v.getUint16(at, true) },
  int16: { bytes: 2, read: (v, at) => v.getInt16(at, true) },
  uint32: { bytes: 4, read: (v, at) => v.getUint32(at, true) },
  int32: { bytes: 4, read: (v, at) => v.getInt32(at, true) },
  float32: { bytes: 4, read: (v, at) => v.getFloat32(at, true) },
  uint64: { bytes: 8, read: (v, at) => v.getBigUint64(at, true) },
  int64: { bytes: 8, read: (v, at) => v.getBigInt64(at, true) },
  float64: { bytes: 8, read: (v, at) => v.getFloat64(at, true) },
} as const satisfies Record<string, NumberFormat>

export interface HeaderCursor {
  /** Bytes read so far. */
  readonly position: number
  /** Hands over the file's first bytes; each time all of them from the start. */
  supply(bytes: Uint8Array): void
  /** The next bytes, as many as there are up to `length`. */
  peek(length: number): Reading<Uint8Array>
  uint32(): Reading<number>
  /** A bigint only where a Number would round. */
  uint64(): Reading<number | bigint>
  number(format: NumberFormat): Reading<number | bigint>
  numbers(format: NumberFormat, count: number): Reading<(number | bigint)[]>
  string(): Reading<string>
  strings(count: number): Reading<string[]>
  /** A count of things of at least `minBytes` each, checked against what the file can still hold. */
  count(what: string, minBytes: number, limit: number): Reading<number>
}

export function createHeaderCursor(sizeBytes: number): HeaderCursor {
  // BOMs are kept: SentencePiece vocabularies have one as a token
  const lenient = new TextDecoder('utf-8', { ignoreBOM: true })
  const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })
  let bytes: Uint8Array = new Uint8Array(0)
  let view: DataView = new DataView(bytes.buffer)
  let position = 0

  /** Waits until `length` more bytes are there. */
  function* need(length: number): Reading<void> {
    if (position + length <= bytes.length) return
    if (position + length > sizeBytes) {
      throw new EngineError(
        'model-truncated',
        `The model's header promises at least ${position + length} bytes, but the file has ${sizeBytes}. ` +
          'The download may have been cut off; fetch the file again.',
      )
    }
    if (position + length > maxHeaderBytes) {
      throw new EngineError(
        'not-gguf',
        `The model's header would be longer than ${maxHeaderBytes} bytes, more than any real one; the file is damaged.`,
      )
    }
    yield position + length
    if (position + length > bytes.length)
      throw new RangeError('The cursor was resumed without the bytes it asked for')
  }

  /** Integers of 64 bits stay bigints only where a Number would round them. */
  const exact = (value: number | bigint) =>
    typeof value === 'bigint' && BigInt.asIntN(54, value) === value ? Number(value) : value

  function* numbers({ bytes: size, read }: NumberFormat, count: number): Reading<(number | bigint)[]> {
    yield* need(count * size)
    const values = Array.from({ length: count }, (_, i) => exact(read(view, position + i * size)))
    position += count * size
    return values
  }

  function* number(format: NumberFormat): Reading<number | bigint> {
    yield* need(format.bytes)
    const value = exact(format.read(view, position))
    position += format.bytes
    return value
  }

  const uint64 = () => number(numberFormats.uint64)

  function* length(): Reading<number> {
    const value = yield* uint64()
    if (typeof value === 'number' && value <= sizeBytes) return value
    throw new EngineError(
      'model-truncated',
      `The model's header promises a string of ${value} bytes at byte ${position}, but the file has ${sizeBytes}; ` +
        'it is damaged or cut off. Fetch the file again.',
    )
  }

  return {
    get position() {
      return position
    },
    supply(all) {
      bytes = all
      view = new DataView(all.buffer, all.byteOffset, all.byteLength)
    },
    *peek(length) {
      const available = Math.min(length, sizeBytes - position)
      yield* need(available)
      return bytes.slice(position, position + available)
    },
    *uint32() {
      return Number(yield* number(numberFormats.uint32))
    },
    uint64,
    number,
    numbers,
    *string() {
      const n = yield* length()
      yield* need(n)
      const value = lenient.decode(bytes.subarray(position, position + n))
      position += n
      return value
    },
    *strings(count) {
      // One decode for all strings: one per string costs most of the time of a header with 400,000 of them.
      const starts = new Uint32Array(count)
      const lengths = new Uint32Array(count)
      let total = 0
      for (let i = 0; i < count; i++) {
        if (position + 8 > bytes.length) yield* need(8)
        const n = view.getUint32(position + 4, true) === 0 ? view.getUint32(position, true) : yield* length()
        if (position + 8 + n > bytes.length) yield* need(8 + n)
        starts[i] = position + 8
        lengths[i] = n
        total += n
        position += 8 + n
      }
      return decodeAll(bytes, starts, lengths, total)
    },
    *count(what, minBytes, limit) {
      const value = yield* uint64()
      const room = Math.floor((sizeBytes - position) / minBytes)
      if (typeof value === 'bigint' || value > limit) {
        throw new EngineError(
          'not-gguf',
          `The model's header claims ${value} ${what}, where at most ${limit} are accepted; the file is damaged.`,
        )
      }
      if (value > room) {
        throw new EngineError(
          'model-truncated',
          `The model's header promises ${value} ${what}, but the rest of the file has room for ${room} at most: ` +
            `it has ${sizeBytes} bytes. Fetch the file again.`,
        )
      }
      return value
    },
  }

  function decodeAll(from: Uint8Array, starts: Uint32Array, lengths: Uint32Array, total: number): string[] {
    const joined = new Uint8Array(total)
    const units = new Uint32Array(starts.length)
    let end = 0
    let whole = true // no string begins in the middle of a character
    for (let i = 0; i < starts.length; i++) {
      const start = starts[i]!
      const stop = start + lengths[i]!
      if (stop > start && (from[start]! & 0xc0) === 0x80) whole = false
      let count = 0
      for (let at = start; at < stop; at++) {
        const byte = from[at]!
        joined[end++] = byte
        // UTF-16 units: one per character, two for the characters of four bytes
        if ((byte & 0xc0) !== 0x80) count += byte >= 0xf0 ? 2 : 1
      }
      units[i] = count
    }
    const text = whole ? decodeStrictly(joined) : null
    if (text === null) {
      return Array.from(starts, (start, i) => lenient.decode(from.subarray(start, start + lengths[i]!)))
    }
    let at = 0
    return Array.from(units, (count) => text.slice(at, (at += count)))
  }

  function decodeStrictly(utf8: Uint8Array): string | null {
    try {
      return strict.decode(utf8)
    } catch {
      return null
    }
  }
}
