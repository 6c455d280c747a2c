/**
 * A {@link RangeSource} over bytes in memory that remembers what it was asked.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { RangeSource } from '../store/source.ts'

/** Small enough that nothing of interest arrives in one piece. */
const defaultPieceBytes = 64 * 1024

/**
 * @param options.sizeBytes what `describe` claims; the bytes' own length unless a test lies about it
 * @returns with `requests`, every range asked for, in order
 */
export function bytesSource(
  bytes: Uint8Array,
  options: { url?: string; revision?: string; sizeBytes?: number; pieceBytes?: number } = {},
): RangeSource & { requests: { start: number; end: number }[] } {
  const {
    url = 'memory:model.gguf',
    revision = '1',
    sizeBytes = bytes.length,
    pieceBytes = defaultPieceBytes,
  } = options
  const requests: { start: number; end: number }[] = []
  return {
    url,
    requests,
    async describe() {
      return { sizeBytes, revision }
    },
    async *stream(start, end, signal) {
      requests.push({ start, end })
      for (let at = start; at < end; at += pieceBytes) {
        if (signal?.aborted) throw new EngineError('aborted', `Reading ${url} was stopped.`)
        if (at >= bytes.length) {
          throw new EngineError(
            'model-truncated',
            `${url} ends after ${bytes.length} bytes instead of ${end}.`,
          )
        }
        yield bytes.slice(at, Math.min(at + pieceBytes, end))
      }
    },
  }
}
