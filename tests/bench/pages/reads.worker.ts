/**
 * Reads stored files as the storage worker does: the same reader, into shared WASM memory.
 *
 * @module
 */
import { createOpfsStore } from '../../../packages/engine/src/store/opfs-store.ts'
import { createInlineReader, type ShardReader } from '../../../packages/engine/src/store/shard-reader.ts'
import type { ShardStore } from '../../../packages/engine/src/store/shard-store.ts'
import { serve } from '../../browser/pages/served.ts'

const model = 'bench-reads'
let store: ShardStore
/** By the bytes of their calls. */
const readers = new Map<number | undefined, ShardReader>()
let memory: WebAssembly.Memory

const nameOf = (file: number) => ({ model, file: `layer-${file}` })

serve({
  async write(files: number, fileBytes: number): Promise<void> {
    const store = await createOpfsStore()
    const piece = new Uint8Array(8 * 2 ** 20)
    for (let file = 0; file < files; file++) {
      const handle = await store.openWrite(nameOf(file))
      for (let at = 0; at < fileBytes; at += piece.length) {
        // A disk that compresses, or shares what is equal, must not look fast.
        for (let i = 0; i < piece.length; i += 65_536) crypto.getRandomValues(piece.subarray(i, i + 65_536))
        handle.write(piece.subarray(0, Math.min(piece.length, fileBytes - at)), at)
      }
      handle.flush()
      handle.close()
    }
  },
  async open(mostBytes: number): Promise<void> {
    store = await createOpfsStore()
    const pages = Math.ceil(mostBytes / 65_536)
    memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
    // Memory that was never written to costs a page fault on top of the read.
    new Uint8Array(memory.buffer).fill(1)
  },
  /** @param callBytes as many as the storage worker's, by default */
  async read(
    reads: readonly { file: number; offset: number; byteLength: number }[],
    callBytes?: number,
  ): Promise<void> {
    const reader = readers.get(callBytes) ?? createInlineReader(store, Infinity, callBytes)
    readers.set(callBytes, reader)
    for (const { file, offset, byteLength } of reads) {
      await reader.read({ ...nameOf(file), offset }, () => new Uint8Array(memory.buffer, 0, byteLength))
    }
  },
})
