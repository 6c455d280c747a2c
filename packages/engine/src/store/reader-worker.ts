/**
 * The storage worker: reads shards from OPFS into shared memory, one after another, with handles of its own.
 *
 * @module
 */
import { toEngineError } from '../errors.ts'
import { createOpfsStore } from './opfs-store.ts'
import { createInlineReader, type ShardReader } from './shard-reader.ts'
import type { ReaderReply, ReaderRequest } from './worker-reader.ts'

const aborters = new Map<number, AbortController>()
let reader: Promise<ShardReader> | null = null
let turn = Promise.resolve()

addEventListener('message', ({ data: request }: MessageEvent<ReaderRequest>) => {
  if (request.type === 'open') {
    reader = createOpfsStore().then((store) => createInlineReader(store, request.limitBytesPerSec))
  } else if (request.type === 'abort') aborters.get(request.id)?.abort()
  else if (request.type === 'close') void reader?.then((open) => open.close())
  else {
    aborters.set(request.id, new AbortController())
    turn = turn.then(() => read(request))
  }
})

async function read({ id, from, byteLength, into }: Extract<ReaderRequest, { type: 'read' }>): Promise<void> {
  const bytes = into ?? new Uint8Array(byteLength)
  let error: ReaderReply['error'] = null
  try {
    await (await reader!).read(from, () => bytes, aborters.get(id)!.signal)
  } catch (thrown) {
    const { code, message } = toEngineError(thrown)
    error = { code, message }
  }
  aborters.delete(id)
  if (into || error) postMessage({ id, error } satisfies ReaderReply)
  else
    postMessage({ id, error, bytes: bytes as Uint8Array<ArrayBuffer> } satisfies ReaderReply, [bytes.buffer])
}
