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
  /** Where the shard goes, asked for afresh for each piece: WASM memory that grows moves, and old views die. */
  into: () => Uint8Array
  signal?: AbortSignal
  checksum?: Checksum
}

/** Reading is synchronous; after so many bytes other work of the worker gets a turn. */
const turnBytes = 64 * 1024 * 1024

/**
 * Reads a whole stored shard to the beginning of `into`, which may be shared memory.
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

/** Index of the first piece that does not match its checksum, or −1 once all are read. */
async function firstDamagedPiece(
  handle: ReadHandle,
  { totalBytes, pieceBytes, checksums }: ShardRecord,
  { into, signal, checksum = xxh32 }: ReadOptions,
): Promise<number> {
  let sinceTurn = 0
  for (const [index, expected] of checksums.entries()) {
    if (signal?.aborted) throw new EngineError('aborted', 'Loading was stopped.')
    const offset = index * pieceBytes
    const piece = into().subarray(offset, Math.min(offset + pieceBytes, totalBytes))
    handle.read(piece, offset)
    if (checksum(piece) !== expected) return index
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
