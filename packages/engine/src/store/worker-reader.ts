/**
 * A {@link ShardReader} in a worker of its own: it reads while the engine computes, straight into memory that is shared;
 * else into a buffer that is handed over and copied.
 *
 * @module
 */
import { EngineError, type ErrorCode } from '../errors.ts'
import type { ShardRange, ShardReader } from './shard-reader.ts'

/** To the worker. */
export type ReaderRequest =
  | { type: 'open'; limitBytesPerSec: number }
  /** Without `into` the bytes are sent back. */
  | { type: 'read'; id: number; from: ShardRange; byteLength: number; into?: Uint8Array }
  | { type: 'abort'; id: number }
  | { type: 'close' }

/** From the worker, one for each read. */
export type ReaderReply = {
  id: number
  error: { code: ErrorCode; message: string } | null
  bytes?: Uint8Array<ArrayBuffer>
}

/**
 * @param worker runs `reader-worker.ts`
 * @param limitBytesPerSec makes a disk as slow as that, for experiments
 */
export function createWorkerReader(worker: Worker, limitBytesPerSec = Infinity): ShardReader {
  const reads = new Map<
    number,
    { into: () => Uint8Array; resolve(): void; reject(error: EngineError): void }
  >()
  let nextId = 0
  const post = (request: ReaderRequest) => worker.postMessage(request)
  worker.addEventListener('message', ({ data: { id, error, bytes } }: MessageEvent<ReaderReply>) => {
    const read = reads.get(id)
    reads.delete(id)
    if (error) return read?.reject(new EngineError(error.code, error.message))
    if (bytes) read?.into().set(bytes)
    read?.resolve()
  })
  worker.addEventListener('error', ({ message }) => {
    for (const { reject } of reads.values())
      reject(new EngineError('bug', `The storage worker stopped: ${message}`))
    reads.clear()
  })
  post({ type: 'open', limitBytesPerSec })
  return {
    read(from, into, signal) {
      const id = nextId++
      return new Promise((resolve, reject) => {
        reads.set(id, { into, resolve, reject })
        signal?.addEventListener('abort', () => post({ type: 'abort', id }), { once: true })
        const view = into()
        const shared = typeof SharedArrayBuffer !== 'undefined' && view.buffer instanceof SharedArrayBuffer
        post({ type: 'read', id, from, byteLength: view.length, ...(shared ? { into: view } : {}) })
      })
    },
    close: () => post({ type: 'close' }),
  }
}
