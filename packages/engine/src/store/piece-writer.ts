/**
 * Writes a file from its beginning to its end in pieces, each with a checksum in the catalogue once it is on disk: what
 * a reload interrupts goes on at the last whole piece.
 *
 * @module
 */
import { xxh32, type Checksum } from './checksum.ts'
import type { Catalogue, FileName, ShardRecord, ShardStore } from './shard-store.ts'

/** What is fetched again after a reload in the middle, at most. */
const defaultPieceBytes = 4 * 1024 * 1024

/** Where bytes rest, and what is known of them. */
export type Shelf = { store: ShardStore; catalogue: Catalogue }

export interface PieceWriter {
  /** Where the next byte goes. */
  readonly position: number
  /** Takes a copy; stores a piece whenever one is full. @throws EngineError 'storage-full' */
  append(bytes: Uint8Array): Promise<void>
  /** Gives up what is not a whole piece yet. */
  close(): void
}

/** What of a file is stored and known, as far as its bytes are really there; null when nothing is. */
export async function storedRecord(shelf: Shelf, name: FileName): Promise<ShardRecord | null> {
  const record = await shelf.catalogue.shard(name)
  const byteLength = await shelf.store.size(name)
  if (!record || byteLength === null) return null
  if (byteLength >= record.storedBytes) return record
  const pieces = Math.floor(byteLength / record.pieceBytes)
  return {
    ...record,
    storedBytes: pieces * record.pieceBytes,
    checksums: record.checksums.slice(0, pieces),
  }
}

export const isComplete = (record: ShardRecord) => record.storedBytes === record.totalBytes

/**
 * Opens a file where its record says that it stopped, or empties it when it is meant to have another size.
 *
 * Call it inside {@link ShardStore.exclusive}.
 */
export async function openPieceWriter(
  { store, catalogue }: Shelf,
  name: FileName,
  totalBytes: number,
  options: { pieceBytes?: number; checksum?: Checksum } = {},
): Promise<PieceWriter> {
  const { checksum = xxh32 } = options
  let record = await storedRecord({ store, catalogue }, name)
  if (record?.totalBytes !== totalBytes) {
    await store.remove(name)
    const { pieceBytes = defaultPieceBytes } = options
    record = { ...name, storedBytes: 0, totalBytes, checksums: [], pieceBytes }
  }
  const handle = await store.openWrite(name)
  const piece = new Uint8Array(Math.min(record.pieceBytes, totalBytes))
  let filled = 0

  /** Bytes before record: a crash between the two costs a piece, and never leaves a record of bytes that are not there. */
  async function storePiece({ storedBytes, checksums, ...rest }: ShardRecord): Promise<ShardRecord> {
    const bytes = piece.subarray(0, filled)
    handle.write(bytes, storedBytes)
    handle.flush()
    const next = {
      ...rest,
      storedBytes: storedBytes + filled,
      checksums: [...checksums, checksum(bytes)],
    }
    await catalogue.putShard(next)
    filled = 0
    return next
  }

  let current = record
  return {
    get position() {
      return current.storedBytes + filled
    },
    async append(bytes) {
      for (let taken = 0; taken < bytes.length;) {
        const end = Math.min(current.storedBytes + piece.length, totalBytes) - current.storedBytes
        const part = bytes.subarray(taken, taken + end - filled)
        if (part.length === 0)
          throw new RangeError(`${name.file} has ${totalBytes} bytes; more were appended`)
        piece.set(part, filled)
        filled += part.length
        taken += part.length
        if (filled === end) current = await storePiece(current)
      }
    },
    close: () => handle.close(),
  }
}
