/**
 * From the store into the backend's memory, checked on the way.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { xxh32, type Checksum } from './checksum.ts'
import { downloadShard, type DownloadOptions } from './download.ts'
import { isComplete, storedRecord, type Shelf } from './piece-writer.ts'
import type { FileName, ReadHandle, ShardRecord } from './shard-store.ts'

export type ReadOptions = Shelf & {
  name: FileName
  /** The part of the shard's file that is read; all of it by default. */
  range?: { offset: number; byteLength: number }
  /** Where the shard goes, asked for afresh for each piece: WASM memory that grows moves, and old views die. */
  into: () => Uint8Array
  signal?: AbortSignal
  checksum?: Checksum
}

/** Reading is synchronous; after so many bytes other work of the worker gets a turn. */
const turnBytes = 64 * 1024 * 1024

/**
 * Reads a stored shard, or a part of it, to the beginning of `into`, which may be shared memory.
 *
 * @throws EngineError 'shard-corrupt' when it is not stored completely, or does not match its checksums: then it is
 *   removed, so that downloading it again repairs it; 'aborted'
 */
export async function readShard(options: ReadOptions): Promise<void> {
  const { store, catalogue, name } = options
  const record = await storedRecord({ store, catalogue }, name)
  if (!record || !isComplete(record)) {
    throw new EngineError(
      'shard-corrupt',
      `${name.file} is not stored completely: ${record?.storedBytes ?? 0} bytes of ${record?.totalBytes ?? 'all'}. The rest has to be fetched.`,
    )
  }
  const handle = await store.openRead(name)
  let damaged: number
  try {
    damaged = await firstDamagedPiece(handle, record, options)
  } finally {
    handle.close()
  }
  if (damaged < 0) return
  await catalogue.remove(name)
  await store.remove(name)
  throw new EngineError(
    'shard-corrupt',
    `${name.file} was damaged on this device's disk: piece ${damaged + 1} of ${record.checksums.length} does not match its checksum. It was removed and will be fetched again.`,
  )
}

/**
 * Index of the first piece in the range that does not match its checksum, or −1 once all are read. A piece that lies in
 * the range only in part is checked whole, beside `into`.
 */
async function firstDamagedPiece(
  handle: ReadHandle,
  { totalBytes, pieceBytes, checksums }: ShardRecord,
  { range = { offset: 0, byteLength: totalBytes }, into, signal, checksum = xxh32 }: ReadOptions,
): Promise<number> {
  const end = range.offset + range.byteLength
  let sinceTurn = 0
  for (let index = Math.floor(range.offset / pieceBytes); index * pieceBytes < end; index++) {
    if (signal?.aborted) throw new EngineError('aborted', 'Loading was stopped.')
    const start = index * pieceBytes
    const length = Math.min(pieceBytes, totalBytes - start)
    const isInside = start >= range.offset && start + length <= end
    const piece = isInside
      ? into().subarray(start - range.offset, start - range.offset + length)
      : new Uint8Array(length)
    handle.read(piece, start)
    if (checksum(piece) !== checksums[index]) return index
    if (!isInside) {
      const from = Math.max(start, range.offset)
      into().set(piece.subarray(from - start, end - start), from - range.offset)
    }
    sinceTurn += piece.length
    if (sinceTurn >= turnBytes) {
      sinceTurn = 0
      await new Promise((resolve) => setTimeout(resolve))
    }
  }
  return -1
}

/** Downloads what is missing of a shard and reads it; one that turns out damaged is fetched again, once. */
export async function loadShard(options: DownloadOptions & ReadOptions): Promise<void> {
  await downloadShard(options)
  try {
    await readShard(options)
  } catch (thrown) {
    if (!(thrown instanceof EngineError && thrown.code === 'shard-corrupt')) throw thrown
    await downloadShard(options)
    await readShard(options)
  }
}
