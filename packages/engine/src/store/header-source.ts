/**
 * A source whose beginning is remembered: a tab that was reloaded reads the model's header from the store, and needs no
 * network for a model that it holds.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { readShard } from './load-shard.ts'
import { isComplete, openPieceWriter, storedRecord, type Shelf } from './piece-writer.ts'
import type { RangeSource } from './source.ts'

export type HeaderSource = RangeSource & {
  /** Stores the beginning of the model as far as it was read; call it once the header is understood. */
  keep(): Promise<void>
}

/** The stored file beside the shards. */
const file = 'header'
/** Longest beginning that is remembered; vocabularies make headers of up to some 20 MB. */
const maxBytes = 64 * 1024 * 1024

/**
 * For reading the header only: shards are downloaded from `source` itself, as what passes here is held in memory.
 *
 * @param model key in the store, of this very revision
 */
export async function createHeaderSource(
  options: Shelf & { source: RangeSource; model: string },
): Promise<HeaderSource> {
  const { store, catalogue, source, model } = options
  const name = { model, file }
  const shelf = { store, catalogue }
  /** Bytes [0, known.length) of the model. */
  let known: Uint8Array = await remembered()
  let keptBytes = known.length

  async function remembered(): Promise<Uint8Array> {
    const record = await storedRecord(shelf, name)
    if (!record || !isComplete(record)) return new Uint8Array(0)
    const bytes = new Uint8Array(record.totalBytes)
    try {
      await readShard({ ...shelf, name, into: () => bytes })
      return bytes
    } catch (thrown) {
      // Damaged, and removed by now: it is read from the source again.
      if (thrown instanceof EngineError && thrown.code === 'shard-corrupt') return new Uint8Array(0)
      throw thrown
    }
  }

  /** Keeps `known` at the beginning of a buffer twice as long as needed, so that it is seldom copied. */
  function extend(piece: Uint8Array): void {
    const length = known.length + piece.length
    let buffer = new Uint8Array(known.buffer)
    if (buffer.length < length) {
      buffer = new Uint8Array(2 * length)
      buffer.set(known)
    }
    buffer.set(piece, known.length)
    known = buffer.subarray(0, length)
  }

  return {
    url: source.url,

    async describe() {
      const record = (await catalogue.models()).find((record) => record.model === model)
      return record ? { sizeBytes: record.sizeBytes, revision: record.revision } : source.describe()
    },

    async *stream(start, end, signal) {
      let at = start
      if (at < known.length) {
        const piece = known.slice(at, end)
        at += piece.length
        yield piece
      }
      if (at >= end) return
      for await (const piece of source.stream(at, end, signal)) {
        if (at === known.length && at + piece.length <= maxBytes) extend(piece)
        at += piece.length
        yield piece
      }
    },

    async keep() {
      if (known.length === keptBytes) return
      const bytes = known
      await store.exclusive(name, async () => {
        const record = await storedRecord(shelf, name)
        // Another tab was first, and may be reading it now.
        if (record && isComplete(record) && record.totalBytes >= bytes.length) return
        await catalogue.remove(name)
        const writer = await openPieceWriter(shelf, name, bytes.length)
        try {
          await writer.append(bytes)
          keptBytes = bytes.length
        } finally {
          writer.close()
        }
      })
    },
  }
}
