/**
 * Reads stored shards again and again, straight into the backend's memory: for layers that stream.
 *
 * Implementations: here, on the caller's own thread, piece by piece; `worker-reader.ts`, in a worker beside it.
 *
 * @module
 */
import { breathe } from '../breathe.ts'
import { EngineError } from '../errors.ts'
import type { FileName, ReadHandle, ShardStore } from './shard-store.ts'

/** A part of a stored file, from a byte on. */
export type ShardRange = FileName & { offset: number }

export interface ShardReader {
  /**
   * Fills `into` with the bytes from `offset` of a file on.
   *
   * @param into asked for afresh whenever it is written: memory that is not shared moves when it grows
   * @throws EngineError 'shard-corrupt' when there is no such file or it is shorter; 'aborted' soon after `signal` aborts
   */
  read(from: ShardRange, into: () => Uint8Array, signal?: AbortSignal): Promise<void>
  /** Forgets its open files. */
  close(): void
}

/** Small enough that an aborted read ends soon, large enough that messages to oneself do not count. */
const pieceBytes = 8 * 1024 * 1024
/**
 * Of one call to the file. The system reads a file ahead while it copies out what came before; a call that asks for as
 * much as it reads ahead waits for all of it, and fills a page cache that has no room (README, "Weights").
 */
const usualCallBytes = 256 * 1024

/**
 * @param limitBytesPerSec makes a disk as slow as that, for experiments
 * @param callBytes of one call to the file, for benches
 */
export function createInlineReader(
  store: ShardStore,
  limitBytesPerSec = Infinity,
  callBytes = usualCallBytes,
): ShardReader {
  // Opening a file for each read is several times slower than reading it (measured by webai-at-home: 7.8×).
  const handles = new Map<string, Promise<ReadHandle>>()
  /** When a disk so slow would be done with what was read; small reads add up. */
  let doneMs = 0

  function open({ model, file }: FileName): Promise<ReadHandle> {
    const key = `${model}/${file}`
    const known = handles.get(key)
    if (known) return known
    const opening = store.openRead({ model, file })
    handles.set(key, opening)
    opening.catch(() => handles.delete(key))
    return opening
  }

  return {
    async read(from, into, signal) {
      const handle = await open(from)
      doneMs = Math.max(doneMs, performance.now())
      const { length } = into()
      for (let at = 0; at < length; at += pieceBytes) {
        if (signal?.aborted) throw new EngineError('aborted', `${from.file} was not read to its end.`)
        const piece = into().subarray(at, at + pieceBytes)
        for (let i = 0; i < piece.length; i += callBytes)
          handle.read(piece.subarray(i, i + callBytes), from.offset + at + i)
        doneMs += (piece.length / limitBytesPerSec) * 1000
        const aheadMs = doneMs - performance.now()
        if (aheadMs > 1) await new Promise((resolve) => setTimeout(resolve, aheadMs))
        else await breathe()
      }
    },
    close() {
      for (const opening of handles.values()) void opening.then((handle) => handle.close()).catch(() => {})
      handles.clear()
    },
  }
}
