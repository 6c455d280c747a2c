/**
 * A {@link ShardStore} in the origin private file system: one folder per model under 'hearth', one file per shard.
 *
 * In dedicated workers only, where the File System standard (§2.6) has synchronous access handles: they read straight
 * into shared WASM memory, several times faster than blobs do.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { FileName, ReadHandle, ShardStore, WriteHandle } from './shard-store.ts'
import { checkName, endsEarly, inUse, noSuchFile, pathOf, storageFull } from './store-errors.ts'

/** `mode` is known to Chromium 121+; others ignore it and open the file for one user alone. */
type ModalFileHandle = FileSystemFileHandle & {
  createSyncAccessHandle(options: { mode: 'read-only' }): Promise<FileSystemSyncAccessHandle>
}

/** @throws EngineError 'storage-unavailable', with what to do, where this browser has no OPFS for us */
export async function createOpfsStore(): Promise<ShardStore> {
  const root = await openRoot()

  async function fileOf(name: FileName, create = false): Promise<FileSystemFileHandle | null> {
    pathOf(name)
    const folder = await orNull(root.getDirectoryHandle(name.model, { create }))
    return folder && (await orNull(folder.getFileHandle(name.file, { create })))
  }

  async function* files(): AsyncGenerator<FileName & { handle: FileSystemFileHandle }> {
    for await (const folder of root.values()) {
      if (!isFolder(folder)) continue
      for await (const handle of folder.values()) {
        if (isFile(handle)) yield { model: folder.name, file: handle.name, handle }
      }
    }
  }

  return {
    async size(name) {
      const file = await fileOf(name)
      return file && (await file.getFile()).size
    },

    async openRead(name) {
      const file = await fileOf(name)
      if (!file) throw noSuchFile(name)
      try {
        return syncReader(name, await (file as ModalFileHandle).createSyncAccessHandle({ mode: 'read-only' }))
      } catch (thrown) {
        if (!isLocked(thrown)) throw unavailable(thrown)
        return blobReader(name, await file.getFile())
      }
    },

    async openWrite(name) {
      try {
        const file = await fileOf(name, true)
        if (!file) throw new EngineError('bug', `${name.file} could not be made.`)
        return syncWriter(name, await file.createSyncAccessHandle())
      } catch (thrown) {
        if (isLocked(thrown)) throw inUse(name, thrown)
        if (isFull(thrown)) throw storageFull(name, undefined, thrown)
        throw thrown instanceof EngineError ? thrown : unavailable(thrown)
      }
    },

    async exclusive(name, body, signal) {
      const key = `hearth/${pathOf(name)}`
      try {
        return await navigator.locks.request(key, signal ? { signal } : {}, body)
      } catch (thrown) {
        if (signal?.aborted && isAbort(thrown))
          throw new EngineError('aborted', `${name.file} was not waited for.`)
        throw thrown
      }
    },

    async list() {
      const listed: (FileName & { byteLength: number })[] = []
      for await (const { model, file, handle } of files()) {
        listed.push({ model, file, byteLength: (await handle.getFile()).size })
      }
      return listed
    },

    async remove({ model, file }) {
      checkName(model)
      if (file !== undefined) checkName(file)
      try {
        if (file === undefined) await orNull(root.removeEntry(model, { recursive: true }))
        else await (await orNull(root.getDirectoryHandle(model)))?.removeEntry(file).catch(ignoreMissing)
      } catch (thrown) {
        if (isLocked(thrown)) throw inUse({ model, file: file ?? model }, thrown)
        throw thrown
      }
    },
  }
}

async function openRoot(): Promise<FileSystemDirectoryHandle> {
  if (!isSecureContext) {
    throw new EngineError(
      'insecure-context',
      'This page did not come by https, and browsers then give it no storage. Open it by https, or on this machine as http://localhost.',
    )
  }
  if (
    typeof FileSystemFileHandle === 'undefined' ||
    !('createSyncAccessHandle' in FileSystemFileHandle.prototype)
  ) {
    throw unavailable(
      'this browser has no synchronous file access; Chrome 102, Firefox 111 and Safari 15.2 have',
    )
  }
  try {
    const origin = await navigator.storage.getDirectory()
    return await origin.getDirectoryHandle('hearth', { create: true })
  } catch (thrown) {
    throw unavailable(thrown)
  }
}

function syncReader(name: FileName, handle: FileSystemSyncAccessHandle): ReadHandle {
  const byteLength = handle.getSize()
  return {
    byteLength,
    read(into, offset) {
      const read = handle.read(into, { at: offset })
      if (read < into.length) throw endsEarly(name, offset + into.length, offset + read)
    },
    close: () => handle.close(),
  }
}

/**
 * For a file that another tab holds open where handles cannot be shared (Safari and Firefox have no 'read-only' mode),
 * or that is being written: slower, and copied once more, but it reads.
 */
function blobReader(name: FileName, blob: Blob): ReadHandle {
  const reader = new FileReaderSync()
  return {
    byteLength: blob.size,
    read(into, offset) {
      const end = offset + into.length
      if (end > blob.size) throw endsEarly(name, end, blob.size)
      into.set(new Uint8Array(reader.readAsArrayBuffer(blob.slice(offset, end))))
    },
    close() {},
  }
}

function syncWriter(name: FileName, handle: FileSystemSyncAccessHandle): WriteHandle {
  return {
    get byteLength() {
      return handle.getSize()
    },
    write(bytes, offset) {
      // At the quota Chromium 156 throws; the standard (§2.6) also allows a short write without an exception.
      for (let written = 0; written < bytes.length;) {
        let count = 0
        try {
          count = handle.write(bytes.subarray(written), { at: offset + written })
        } catch (thrown) {
          throw isFull(thrown) ? storageFull(name, bytes.length - written, thrown) : unavailable(thrown)
        }
        if (count === 0) throw storageFull(name, bytes.length - written)
        written += count
      }
    },
    flush: () => handle.flush(),
    close: () => handle.close(),
  }
}

const nameOf = (thrown: unknown) =>
  thrown instanceof Error || thrown instanceof DOMException ? thrown.name : ''
const isFull = (thrown: unknown) => nameOf(thrown) === 'QuotaExceededError'
const isLocked = (thrown: unknown) =>
  ['NoModificationAllowedError', 'InvalidStateError'].includes(nameOf(thrown))
const isAbort = (thrown: unknown) => nameOf(thrown) === 'AbortError'

const isFolder = (handle: FileSystemHandle): handle is FileSystemDirectoryHandle =>
  handle.kind === 'directory'
const isFile = (handle: FileSystemHandle): handle is FileSystemFileHandle => handle.kind === 'file'

function ignoreMissing(thrown: unknown): null {
  if (nameOf(thrown) === 'NotFoundError') return null
  throw thrown
}

/** What `work` finds, or null when there is no such entry. */
const orNull = <T>(work: Promise<T>): Promise<T | null> => work.catch(ignoreMissing)

function unavailable(cause: unknown): EngineError {
  const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
  return new EngineError(
    'storage-unavailable',
    `This browser gives Hearth no storage for models (${reason}). Private windows often have none: open the page in a normal window, and allow the site to store data.`,
    { cause },
  )
}
