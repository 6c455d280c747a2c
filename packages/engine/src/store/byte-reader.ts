/**
 * Pieces as they arrive, taken in the sizes that the reader wants.
 *
 * @module
 */
import { EngineError } from '../errors.ts'

export interface ByteReader {
  /** Exactly `count` bytes, valid until the next call. @throws EngineError 'model-truncated' when fewer are left */
  take(count: number): Promise<Uint8Array>
  skip(count: number): Promise<void>
  /** Ends the stream behind it. */
  close(): Promise<void>
}

/** @param onPiece called with the length of each piece that arrives */
export function createByteReader(
  pieces: AsyncIterable<Uint8Array>,
  onPiece: (byteLength: number) => void,
): ByteReader {
  const iterator = pieces[Symbol.asyncIterator]()
  let rest: Uint8Array = new Uint8Array(0)
  let joined = new Uint8Array(0)

  async function refill(): Promise<void> {
    while (rest.length === 0) {
      const { done, value } = await iterator.next()
      if (done) throw new EngineError('model-truncated', 'The download ended before all bytes had come.')
      rest = value
      onPiece(value.length)
    }
  }

  /** Up to `count` bytes of what is here. */
  function some(count: number): Uint8Array {
    const bytes = rest.subarray(0, count)
    rest = rest.subarray(bytes.length)
    return bytes
  }

  return {
    async take(count) {
      if (rest.length >= count) return some(count)
      if (joined.length < count) joined = new Uint8Array(count)
      for (let filled = 0; filled < count;) {
        await refill()
        const bytes = some(count - filled)
        joined.set(bytes, filled)
        filled += bytes.length
      }
      return joined.subarray(0, count)
    },
    async skip(count) {
      for (let skipped = 0; skipped < count;) {
        await refill()
        skipped += some(count - skipped).length
      }
    },
    async close() {
      await iterator.return?.()
    },
  }
}
