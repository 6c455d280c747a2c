/**
 * A {@link ShardReader} that knows how much it has read and how long it was at it: the speed that the store has while
 * the device computes.
 *
 * @module
 */
import type { ShardReader } from './shard-reader.ts'

export type ReaderStats = {
  /** Of reads that came to their end. */
  readBytes: number
  /** Time in which at least one read was under way, until the last one ended: a rate is right while another runs. */
  readingMs: number
}

export type MeasuredReader = ShardReader & { stats(): ReaderStats }

export function createMeasuredReader(reader: ShardReader): MeasuredReader {
  let readBytes = 0
  let readingMs = 0
  let underWay = 0
  let sinceMs = 0
  return {
    async read(from, into, signal) {
      if (underWay++ === 0) sinceMs = performance.now()
      try {
        await reader.read(from, into, signal)
        readBytes += into().length
      } finally {
        const nowMs = performance.now()
        readingMs += nowMs - sinceMs
        sinceMs = nowMs
        underWay--
      }
    },
    close: () => reader.close(),
    stats: () => ({ readBytes, readingMs }),
  }
}
