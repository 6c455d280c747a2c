/**
 * How fast the store writes and reads, by the reader that layers stream through, into the memory that they stream to.
 * What was just written comes from the page cache, so this is what a store does at best: once layers have streamed, the
 * rate that was seen then takes its place (`own-profile.ts`).
 *
 * @module
 */
import type { Backend } from '../../backend/backend.ts'
import { toEngineError } from '../../errors.ts'
import type { ShardReader } from '../../store/shard-reader.ts'
import type { ShardStore } from '../../store/shard-store.ts'
import { median } from '../../median.ts'

/** A layer of a model of 1 B weights in four bits, or a quarter of one of 8 B. */
const layerBytes = 32 * 2 ** 20
/** With less where the disk is nearly full: a device that stores its layers already can still take part. */
const leastBytes = 2 ** 15
/** A store so slow for a piece need not be asked for the rest. */
const pieceShare = 8
const slowPieceMs = 100
const reads = 3
const probe = { model: 'probe', file: 'disk' }
const removeTries = 20
const removeEveryMs = 50

export type DiskSpeed = { diskReadBytesPerSec: number; diskWriteBytesPerSec: number }

/** A reader of one's own: its open files end with it. */
export type LentReader = { reader: ShardReader; end(): void }

/**
 * @param mostBytes of memory that it may take
 * @throws EngineError 'storage-unavailable', 'storage-full' when not even 32 KiB fit
 */
export async function measureDisk(
  backend: Backend,
  store: ShardStore,
  lendReader: () => LentReader,
  mostBytes = Infinity,
): Promise<DiskSpeed> {
  let byteLength = layerBytes
  while (byteLength > mostBytes && byteLength > leastBytes) byteLength /= 4
  for (; ; byteLength /= 4) {
    try {
      return await store.exclusive(probe, () => measureWith(backend, store, lendReader, byteLength))
    } catch (thrown) {
      if (toEngineError(thrown).code !== 'storage-full' || byteLength <= leastBytes) throw thrown
    }
  }
}

async function measureWith(
  backend: Backend,
  store: ShardStore,
  lendReader: () => LentReader,
  byteLength: number,
): Promise<DiskSpeed> {
  const region = backend.region(byteLength)
  const { reader, end } = lendReader()
  try {
    const diskWriteBytesPerSec = await write(store, byteLength)
    const read = async (bytes: number): Promise<number> => {
      const startMs = performance.now()
      await reader.read({ ...probe, offset: 0 }, () => region.bytes().subarray(0, bytes))
      return performance.now() - startMs
    }
    // The first read opens the file.
    await read(leastBytes)
    const pieceMs = await read(byteLength / pieceShare)
    if (pieceMs > slowPieceMs)
      return { diskReadBytesPerSec: perSec(byteLength / pieceShare, pieceMs), diskWriteBytesPerSec }
    const timesMs: number[] = []
    for (let i = 0; i < reads; i++) timesMs.push(await read(byteLength))
    const medianMs = median(timesMs)
    return { diskReadBytesPerSec: perSec(byteLength, medianMs), diskWriteBytesPerSec }
  } finally {
    end()
    region.free()
    await remove(store)
  }
}

async function write(store: ShardStore, byteLength: number): Promise<number> {
  const piece = crypto.getRandomValues(new Uint8Array(leastBytes))
  const bytes = new Uint8Array(byteLength)
  for (let at = 0; at < byteLength; at += piece.length) bytes.set(piece, at)
  const writing = await store.openWrite(probe)
  const startMs = performance.now()
  try {
    writing.write(bytes, 0)
    writing.flush()
  } finally {
    writing.close()
  }
  return perSec(byteLength, performance.now() - startMs)
}

/** The reader's worker may hold the file for another moment. */
async function remove(store: ShardStore): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await store.remove({ model: probe.model })
    } catch (thrown) {
      if (tries === removeTries) throw thrown
      await new Promise((resolve) => setTimeout(resolve, removeEveryMs))
    }
  }
}

/** The clock of a page that is not isolated ticks every 100 µs (Chromium 156). */
const perSec = (bytes: number, ms: number): number => Math.round((bytes * 1000) / Math.max(0.1, ms))
