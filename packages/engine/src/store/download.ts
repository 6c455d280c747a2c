/**
 * From a source to a stored shard: fetched by ranges, packed as bytes arrive, written in pieces, resumed where a reload
 * interrupted it.
 *
 * @module
 */
import { createByteReader, type ByteReader } from './byte-reader.ts'
import type { Checksum } from './checksum.ts'
import { isComplete, openPieceWriter, storedRecord, type PieceWriter, type Shelf } from './piece-writer.ts'
import type { FileName } from './shard-store.ts'
import type { RangeSource } from './source.ts'

/** One tensor of a shard, as far as bytes go: units of the source become units of the file, one by one and in order. */
export type ShardPart = {
  /** Absolute, in the source. */
  sourceOffset: number
  sourceBytes: number
  /** In the shard's file. */
  offset: number
  /** Bytes that one unit takes in the source; the last unit may be short. */
  unitSourceBytes: number
  /** Bytes that one unit takes in the file, the last one too. */
  unitBytes: number
  /** Fills `out` (unitBytes) from `source` (unitSourceBytes, or what is left in the last unit). */
  pack(source: Uint8Array, out: Uint8Array): void
}

export type DownloadProgress = {
  /** Of the shard's file, packed so far; what an earlier visit stored counts. */
  packedBytes: number
  totalBytes: number
  /** From the source, in this call. */
  fetchedBytes: number
}

export type DownloadOptions = Shelf & {
  source: RangeSource
  name: FileName
  /** By ascending offset, without overlap; gaps are filled with zeros. */
  parts: readonly ShardPart[]
  /** Of the shard's file. */
  byteLength: number
  onprogress?: (progress: DownloadProgress) => void
  signal?: AbortSignal
  checksum?: Checksum
  pieceBytes?: number
}

/** Ranges with less than this between them are fetched as one: a request costs more than these bytes. */
const mergeGapBytes = 64 * 1024
/** Progress is told in steps of this: some for every layer, and few enough to cross to the page. */
const reportBytes = 128 * 1024

/**
 * Stores a shard; returns at once when it is stored already.
 *
 * A second caller for the same file, in this tab or another, waits for the first and then finds it stored.
 *
 * @throws EngineError of {@link RangeSource.stream}, 'storage-full', 'storage-unavailable', 'aborted'; whole pieces
 *   stored before are kept and not fetched again
 */
export async function downloadShard(options: DownloadOptions): Promise<void> {
  const { store, catalogue, name, byteLength, onprogress, signal } = options
  const report = (packedBytes: number, fetchedBytes: number) =>
    onprogress?.({ packedBytes, totalBytes: byteLength, fetchedBytes })

  async function download(): Promise<void> {
    const record = await storedRecord({ store, catalogue }, name)
    if (record?.totalBytes === byteLength && isComplete(record)) return report(byteLength, 0)
    const writer = await openPieceWriter({ store, catalogue }, name, byteLength, options)
    try {
      await fill(writer, options, report)
    } finally {
      writer.close()
    }
  }

  return store.exclusive(name, download, signal)
}

async function fill(
  writer: PieceWriter,
  { source, parts, byteLength, signal }: DownloadOptions,
  report: (packedBytes: number, fetchedBytes: number) => void,
): Promise<void> {
  let fetchedBytes = 0
  let reportedBytes = writer.position
  const onPacked = () => {
    if (writer.position - reportedBytes < reportBytes) return
    reportedBytes = writer.position
    report(reportedBytes, fetchedBytes)
  }
  report(reportedBytes, fetchedBytes)
  for (const run of runsFrom(writer.position, parts)) {
    const pieces = source.stream(run.start, run.end, signal)
    const reader = createByteReader(pieces, (byteLength) => (fetchedBytes += byteLength))
    try {
      let at = run.start
      for (const remainder of run.remainders) {
        await reader.skip(remainder.start - at)
        await packPart(remainder, reader, writer, onPacked)
        at = remainder.end
      }
    } finally {
      await reader.close()
    }
  }
  await appendZeros(writer, byteLength)
  report(writer.position, fetchedBytes)
}

/** What is still to be fetched of a part: source bytes [start, end), from the beginning of a unit. */
type Remainder = { part: ShardPart; firstUnit: number; start: number; end: number }

/** Source bytes [start, end) fetched by one request, and the parts in it. */
type Run = { start: number; end: number; remainders: Remainder[] }

/** The requests that bring what lies at `position` of the file and after. */
function runsFrom(position: number, parts: readonly ShardPart[]): Run[] {
  const runs: Run[] = []
  for (const part of parts) {
    const units = Math.ceil(part.sourceBytes / part.unitSourceBytes)
    const firstUnit = Math.max(0, Math.floor((position - part.offset) / part.unitBytes))
    if (firstUnit >= units) continue
    const start = part.sourceOffset + firstUnit * part.unitSourceBytes
    const end = part.sourceOffset + part.sourceBytes
    const remainder = { part, firstUnit, start, end }
    const last = runs.at(-1)
    if (last && start >= last.end && start - last.end <= mergeGapBytes) {
      last.end = end
      last.remainders.push(remainder)
    } else {
      runs.push({ start, end, remainders: [remainder] })
    }
  }
  return runs
}

async function packPart(
  { part, firstUnit, start, end }: Remainder,
  reader: ByteReader,
  writer: PieceWriter,
  onPacked: () => void,
): Promise<void> {
  await appendZeros(writer, part.offset)
  const packed = new Uint8Array(part.unitBytes)
  let offset = part.offset + firstUnit * part.unitBytes
  for (let at = start; at < end; at += part.unitSourceBytes) {
    part.pack(await reader.take(Math.min(part.unitSourceBytes, end - at)), packed)
    // After a reload the first unit is partly stored already.
    await writer.append(packed.subarray(writer.position - offset))
    offset += part.unitBytes
    onPacked()
  }
}

/** Up to `offset` of the file; nothing when it is there already. */
async function appendZeros(writer: PieceWriter, offset: number): Promise<void> {
  if (offset > writer.position) await writer.append(new Uint8Array(offset - writer.position))
}
