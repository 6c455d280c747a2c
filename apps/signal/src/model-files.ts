/**
 * The GGUF files that this server offers: those that lie directly in its model folders. Nothing outside them is ever
 * opened, whatever a name or a link says.
 *
 * @module
 */
import { open, readdir, realpath, type FileHandle } from 'node:fs/promises'
import { join, sep } from 'node:path'

/** What a device is told of a file, see `OfferedModel` of @hearth/engine. */
export type OfferedFile = { name: string; url: string; sizeBytes: number; revision: string }

/** An open file and which version of it is open; whoever opened it closes `handle`. */
export type ModelFile = {
  handle: FileHandle
  sizeBytes: number
  /** Strong entity tag (RFC 9110 §8.8.3): size and time of the last change, to the nanosecond. */
  etag: string
  modified: Date
}

export interface ModelFiles {
  /** Sorted by name. A name that is in two folders means the file in the first. */
  list(): Promise<OfferedFile[]>
  /** @returns null when there is no such file in any folder */
  open(fileName: string): Promise<ModelFile | null>
}

/** Longest name that the protocol takes. */
const maxName = 64
const extension = '.gguf'

export function createModelFiles(dirs: readonly string[]): ModelFiles {
  const openFirst = async (fileName: string): Promise<ModelFile | null> => {
    if (!isFileName(fileName)) return null
    for (const dir of dirs) {
      const file = await openInside(dir, fileName)
      if (file) return file
    }
    return null
  }
  return {
    open: openFirst,
    async list() {
      const folders = await Promise.all(dirs.map((dir) => readdir(dir).catch(() => [])))
      const fileNames = [...new Set(folders.flat().filter(isFileName))].toSorted()
      const offered: OfferedFile[] = []
      for (const fileName of fileNames) {
        const file = await openFirst(fileName)
        if (!file) continue
        await file.handle.close()
        const name = fileName.slice(0, -extension.length).slice(0, maxName)
        const url = `/models/${encodeURIComponent(fileName)}`
        offered.push({ name, url, sizeBytes: file.sizeBytes, revision: file.etag })
      }
      return offered
    },
  }
}

/** A name of a file and of nothing else: no path, nothing hidden. */
const isFileName = (name: string): boolean =>
  name.length > extension.length &&
  name.toLowerCase().endsWith(extension) &&
  !name.startsWith('.') &&
  !/[/\\\0]/.test(name)

async function openInside(dir: string, fileName: string): Promise<ModelFile | null> {
  const path = await realpath(join(dir, fileName)).catch(() => null)
  const root = await realpath(dir).catch(() => null)
  // A link may point to another file of the folder, not out of it.
  if (!path || !root || !path.startsWith(root + sep)) return null
  const handle = await open(path).catch(() => null)
  if (!handle) return null
  const stat = await handle.stat({ bigint: true })
  if (!stat.isFile()) {
    await handle.close()
    return null
  }
  return {
    handle,
    sizeBytes: Number(stat.size),
    etag: `"${stat.size.toString(16)}-${stat.mtimeNs.toString(16)}"`,
    modified: stat.mtime,
  }
}
