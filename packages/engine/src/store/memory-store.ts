/**
 * A {@link ShardStore} that forgets: for Node, for tests, and the plain version that the others are judged by.
 *
 * @module
 */
import { createLocks } from './locks.ts'
import type { FileName, ReadHandle, ShardStore, WriteHandle } from './shard-store.ts'
import { checkName, endsEarly, inUse, noSuchFile, pathOf, storageFull } from './store-errors.ts'

type MemoryFile = {
  name: FileName
  /** Longer than what is stored, so that appending does not copy each time. */
  bytes: Uint8Array
  byteLength: number
  openForWriting: boolean
}

/** @param options.capacityBytes all files together; more is 'storage-full' */
export function createMemoryStore(options: { capacityBytes?: number } = {}): ShardStore {
  const { capacityBytes = Infinity } = options
  const files = new Map<string, MemoryFile>()
  const locked = createLocks()

  const usedBytes = () => [...files.values()].reduce((sum, file) => sum + file.byteLength, 0)

  function write(file: MemoryFile, bytes: Uint8Array, offset: number): void {
    const end = offset + bytes.length
    const missingBytes = usedBytes() + Math.max(0, end - file.byteLength) - capacityBytes
    if (missingBytes > 0) throw storageFull(file.name, missingBytes)
    if (end > file.bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * file.bytes.length))
      larger.set(file.bytes.subarray(0, file.byteLength))
      file.bytes = larger
    }
    file.bytes.set(bytes, offset)
    file.byteLength = Math.max(file.byteLength, end)
  }

  return {
    async size(name) {
      return files.get(pathOf(name))?.byteLength ?? null
    },

    async openRead(name): Promise<ReadHandle> {
      const file = files.get(pathOf(name))
      if (!file) throw noSuchFile(name)
      return {
        get byteLength() {
          return file.byteLength
        },
        read(into, offset) {
          const end = offset + into.length
          if (end > file.byteLength) throw endsEarly(name, end, file.byteLength)
          into.set(file.bytes.subarray(offset, end))
        },
        close() {},
      }
    },

    async openWrite(name): Promise<WriteHandle> {
      const path = pathOf(name)
      const file = files.get(path) ?? { name, bytes: new Uint8Array(0), byteLength: 0, openForWriting: false }
      if (file.openForWriting) throw inUse(name)
      file.openForWriting = true
      files.set(path, file)
      return {
        get byteLength() {
          return file.byteLength
        },
        write: (bytes, offset) => write(file, bytes, offset),
        flush() {},
        close() {
          file.openForWriting = false
        },
      }
    },

    exclusive: (name, body, signal) => locked(pathOf(name), body, signal),

    async list() {
      return [...files.values()].map(({ name: { model, file }, byteLength }) => ({ model, file, byteLength }))
    },

    async remove({ model, file }) {
      checkName(model)
      for (const [path, { name }] of files) {
        if (name.model === model && (file === undefined || name.file === file)) files.delete(path)
      }
    },
  }
}
