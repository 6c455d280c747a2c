/**
 * Bytes of an open file as a response body and as a digest.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import type { ByteRange } from './byte-range.ts'
import type { ModelFile } from './model-files.ts'

const pieceBytes = 256 * 1024

/**
 * Reads the next piece only when the socket has taken the last, so a slow device costs one piece of memory. Closes the
 * file at the end, when reading fails and when the device goes away.
 *
 * @param onBytes told how many bytes each piece had
 */
export function streamOf(
  handle: FileHandle,
  { start, end }: ByteRange,
  onBytes: (bytes: number) => void,
): ReadableStream<Uint8Array> {
  let at = start
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const piece = await readPiece(handle, at, end)
          at += piece.length
          onBytes(piece.length)
          controller.enqueue(piece)
          if (at < end) return
          controller.close()
        } catch (thrown) {
          controller.error(thrown)
        }
        await handle.close()
      },
      cancel: () => handle.close(),
    },
    { highWaterMark: 0 },
  )
}

/** @returns at least one byte of [at, end) */
async function readPiece(handle: FileHandle, at: number, end: number): Promise<Uint8Array> {
  const piece = new Uint8Array(Math.min(pieceBytes, end - at))
  const { bytesRead } = await handle.read(piece, 0, piece.length, at)
  if (bytesRead === 0)
    throw new Error(`the file ends at byte ${at}; it has become shorter since it was opened`)
  return piece.subarray(0, bytesRead)
}

/** Longest range that is hashed: devices ask for 4 MiB at a time, and a damaged piece is asked for again whole. */
export const maxDigestBytes = 8 * 1024 * 1024

export interface Digests {
  /** Content-Digest of one range (RFC 9530 §2): `sha-256=:…:` */
  of(fileName: string, file: ModelFile, range: ByteRange): Promise<string>
}

/** @param maxEntries what was asked for longest ago is forgotten beyond that */
export function createDigests(maxEntries = 4096): Digests {
  const known = new Map<string, Promise<string>>()
  return {
    of(fileName, { handle, etag }, range) {
      const key = `${fileName} ${etag} ${range.start}-${range.end}`
      const digest = known.get(key) ?? hash(handle, range)
      known.delete(key)
      known.set(key, digest)
      digest.catch(() => known.delete(key))
      for (const oldest of known.keys()) {
        if (known.size <= maxEntries) break
        known.delete(oldest)
      }
      return digest
    },
  }
}

async function hash(handle: FileHandle, { start, end }: ByteRange): Promise<string> {
  const sha = createHash('sha256')
  for (let at = start; at < end;) {
    const piece = await readPiece(handle, at, end)
    sha.update(piece)
    at += piece.length
  }
  return `sha-256=:${sha.digest('base64')}:`
}
