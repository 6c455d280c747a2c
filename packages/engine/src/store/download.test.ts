import { afterEach, beforeEach, expect, test } from 'vitest'
import { noise } from '../testing/noise.ts'
import { createRangeServer, type RangeServer } from '../testing/range-server.ts'
import { downloadShard, type DownloadOptions, type DownloadProgress, type ShardPart } from './download.ts'
import { loadShard, readShard } from './load-shard.ts'
import { createMemoryCatalogue } from './memory-catalogue.ts'
import { createMemoryStore } from './memory-store.ts'
import { storedRecord, type Shelf } from './piece-writer.ts'
import { createUrlSource, type UrlSourceOptions } from './url-source.ts'

const content = noise(2_000_000)
const name = { model: 'alpha', file: 'layer-003' }
const pieceBytes = 100_000

/** Packs 1000 bytes of the source into 1024 of the file: the bytes reversed, then how many they were. */
const packed = (sourceOffset: number, sourceBytes: number, offset: number): ShardPart => ({
  sourceOffset,
  sourceBytes,
  offset,
  unitSourceBytes: 1000,
  unitBytes: 1024,
  pack(source, out) {
    out.fill(0)
    out.set(source.toReversed())
    new DataView(out.buffer, out.byteOffset).setUint32(1000, source.length)
  },
})
const copied = (sourceOffset: number, sourceBytes: number, offset: number): ShardPart => ({
  sourceOffset,
  sourceBytes,
  offset,
  unitSourceBytes: sourceBytes,
  unitBytes: sourceBytes,
  pack: (source, out) => out.set(source),
})

// A vector, then matrices with short last units: one right behind it, one across a small gap, one elsewhere before it.
const parts = [
  copied(500_000, 3000, 0),
  packed(503_000, 400_500, 3008),
  packed(910_000, 100_001, 3008 + 401 * 1024 + 64),
  packed(1_000, 20_000, 3008 + 401 * 1024 + 64 + 101 * 1024),
]
const byteLength = 3008 + 401 * 1024 + 64 + 101 * 1024 + 20 * 1024 + 32
const firstEnd = 1_010_001

/** The whole shard, packed the plain way. */
function expectedBytes(): Uint8Array {
  const bytes = new Uint8Array(byteLength)
  for (const part of parts) {
    const source = content.subarray(part.sourceOffset, part.sourceOffset + part.sourceBytes)
    for (let unit = 0; unit * part.unitSourceBytes < source.length; unit++) {
      const at = unit * part.unitSourceBytes
      const offset = part.offset + unit * part.unitBytes
      part.pack(
        source.subarray(at, at + part.unitSourceBytes),
        bytes.subarray(offset, offset + part.unitBytes),
      )
    }
  }
  return bytes
}

let server: RangeServer
let shelf: Shelf
beforeEach(async () => {
  server = await createRangeServer(content)
  shelf = { store: createMemoryStore(), catalogue: createMemoryCatalogue() }
})
afterEach(() => server.close())

const known = { sizeBytes: content.length, revision: '"v1"' }
const sourceOf = (options: UrlSourceOptions = {}) =>
  createUrlSource(server.url, { known, retryDelaysMs: [1, 1], ...options })

const options = (more: Partial<DownloadOptions> = {}): DownloadOptions => ({
  ...shelf,
  source: sourceOf(),
  name,
  parts,
  byteLength,
  pieceBytes,
  ...more,
})

async function stored(): Promise<Uint8Array> {
  const bytes = new Uint8Array(byteLength)
  await readShard({ ...shelf, name, into: () => bytes })
  return bytes
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0

test('a shard is fetched by few ranges, packed as it arrives, and read back as it was packed', async () => {
  const told: DownloadProgress[] = []
  await downloadShard(options({ onprogress: (progress) => told.push({ ...progress }) }))
  expect(server.ranges()).toEqual(['bytes=500000-1010000', 'bytes=1000-20999'])
  expect(same(await stored(), expectedBytes())).toBe(true)
  expect(told[0]).toEqual({ packedBytes: 0, totalBytes: byteLength, fetchedBytes: 0 })
  expect(told.at(-1)).toEqual({
    packedBytes: byteLength,
    totalBytes: byteLength,
    fetchedBytes: firstEnd - 500_000 + 20_000,
  })
  expect(told.length).toBeGreaterThan(4)
})

test('any part of a stored shard is read as it was packed, and a damaged piece under it is found', async () => {
  await downloadShard(options())
  const whole = await stored()
  for (const range of [
    { offset: 0, byteLength: 1 },
    { offset: 99_999, byteLength: 2 },
    { offset: 100_000, byteLength: 100_000 },
    { offset: 150_000, byteLength: 250_000 },
    { offset: byteLength - 10, byteLength: 10 },
  ]) {
    const bytes = new Uint8Array(range.byteLength)
    await readShard({ ...shelf, name, range, into: () => bytes })
    expect(same(bytes, whole.subarray(range.offset, range.offset + range.byteLength))).toBe(true)
  }
  const writer = await shelf.store.openWrite(name)
  writer.write(new Uint8Array([1, 2, 3, 4]), 210_000)
  writer.close()
  const bytes = new Uint8Array(20)
  const part = (offset: number) => ({ ...shelf, name, range: { offset, byteLength: 20 }, into: () => bytes })
  await readShard(part(100_000))
  await expect(readShard(part(290_000))).rejects.toMatchObject({ code: 'shard-corrupt' })
})

test('a stored shard is not fetched again, and needs no network', async () => {
  await downloadShard(options())
  await server.close()
  const told: DownloadProgress[] = []
  await downloadShard(options({ onprogress: (progress) => told.push(progress) }))
  expect(told).toEqual([{ packedBytes: byteLength, totalBytes: byteLength, fetchedBytes: 0 }])
})

test('a download that a reload interrupts goes on at the last whole piece', async () => {
  const controller = new AbortController()
  await expect(
    downloadShard(
      options({
        signal: controller.signal,
        onprogress: ({ packedBytes }) => packedBytes > 250_000 && controller.abort(),
      }),
    ),
  ).rejects.toMatchObject({ code: 'aborted' })
  const { storedBytes } = (await shelf.catalogue.shard(name))!
  expect(storedBytes).toBeGreaterThanOrEqual(200_000)
  expect(storedBytes % pieceBytes).toBe(0)

  const before = server.servedBytes()
  await downloadShard(options())
  const unit = Math.floor((storedBytes - 3008) / 1024)
  expect(server.servedBytes() - before).toBe(firstEnd - (503_000 + unit * 1000) + 20_000)
  expect(same(await stored(), expectedBytes())).toBe(true)
})

test('interrupted after any piece, with pieces of an odd size, the shard is the same', async () => {
  const oddPieceBytes = 77_777
  for (let stop = 1; stop * oddPieceBytes < byteLength; stop++) {
    shelf = {
      store: createMemoryStore({ capacityBytes: stop * oddPieceBytes }),
      catalogue: createMemoryCatalogue(),
    }
    await expect(downloadShard(options({ pieceBytes: oddPieceBytes }))).rejects.toMatchObject({
      code: 'storage-full',
    })
    // The same bytes with more room, as after a person made some.
    const roomier = createMemoryStore()
    const [writer, reader] = [await roomier.openWrite(name), await shelf.store.openRead(name)]
    const bytes = new Uint8Array(reader.byteLength)
    reader.read(bytes, 0)
    writer.write(bytes, 0)
    writer.close()
    shelf = { store: roomier, catalogue: shelf.catalogue }
    await downloadShard(options({ pieceBytes: oddPieceBytes }))
    expect(same(await stored(), expectedBytes())).toBe(true)
  }
})

test('two tabs that want the same shard fetch it once', async () => {
  await Promise.all([downloadShard(options()), downloadShard(options())])
  expect(server.servedBytes()).toBe(firstEnd - 500_000 + 20_000)
  expect(same(await stored(), expectedBytes())).toBe(true)
})

test('a full disk says how much is missing, and what was stored is not fetched again', async () => {
  shelf = {
    store: createMemoryStore({ capacityBytes: 450_000 }),
    catalogue: createMemoryCatalogue(),
  }
  const other = await shelf.store.openWrite({ model: 'beta', file: 'head' })
  other.write(new Uint8Array(200_000), 0)
  other.close()
  await expect(downloadShard(options())).rejects.toMatchObject({
    code: 'storage-full',
    message: expect.stringContaining('50000 bytes of layer-003'),
  })
  expect((await storedRecord(shelf, name))?.storedBytes).toBe(200_000)
  await shelf.store.remove({ model: 'beta' })
  const before = server.ranges().length
  await expect(downloadShard(options())).rejects.toMatchObject({ code: 'storage-full' })
  expect(server.ranges()[before]).toBe('bytes=695000-1010000')
  expect((await storedRecord(shelf, name))?.storedBytes).toBe(400_000)
})

test.each([
  ['a changed file', 'model-changed', { headers: { ETag: '"v2"' } }],
  ['a truncated file', 'model-changed', { content: content.subarray(0, 600_000) }],
  ['a server that ignores ranges', 'no-ranges', { ignoreRanges: true }],
  ['a file that is gone', 'model-unreachable', { status: 404 }],
  ['bytes damaged on the way', 'model-unreachable', { digest: 'wrong' }],
] as const)('%s stops the download, and the store stays usable', async (_what, code, change) => {
  const good = { ...server.behaviour }
  Object.assign(server.behaviour, change)
  await expect(downloadShard(options())).rejects.toMatchObject({ code })
  for (const key of Object.keys(change)) Reflect.deleteProperty(server.behaviour, key)
  Object.assign(server.behaviour, good)
  await downloadShard(options())
  expect(same(await stored(), expectedBytes())).toBe(true)
})

test('tensors beyond the end of the file are a truncated model', async () => {
  const short = createUrlSource(server.url, { known: { ...known, sizeBytes: 600_000 } })
  await expect(downloadShard(options({ source: short }))).rejects.toMatchObject({ code: 'model-truncated' })
})

async function damage(at: number): Promise<void> {
  const writer = await shelf.store.openWrite(name)
  writer.write(new Uint8Array([1, 2, 3]), at)
  writer.close()
}

test('a shard damaged on disk is found, removed and said so', async () => {
  await downloadShard(options())
  await damage(250_000)
  await expect(stored()).rejects.toMatchObject({
    code: 'shard-corrupt',
    message: expect.stringMatching(/layer-003.*piece 3 of 6.*fetched again/),
  })
  expect(await shelf.store.size(name)).toBeNull()
  await expect(stored()).rejects.toMatchObject({ code: 'shard-corrupt' })
})

test('loading a damaged shard fetches it again', async () => {
  const bytes = new Uint8Array(byteLength)
  await loadShard({ ...options(), into: () => bytes })
  expect(same(bytes, expectedBytes())).toBe(true)
  await damage(10)
  bytes.fill(0)
  await loadShard({ ...options(), into: () => bytes })
  expect(same(bytes, expectedBytes())).toBe(true)
  expect(server.servedBytes()).toBe(2 * (firstEnd - 500_000 + 20_000))
})

test('bytes that the browser lost are fetched again, however much their record says', async () => {
  await downloadShard(options())
  const record = (await shelf.catalogue.shard(name))!
  await shelf.store.remove(name)
  expect(await storedRecord(shelf, name)).toBeNull()
  const writer = await shelf.store.openWrite(name)
  writer.write(expectedBytes().subarray(0, 250_000), 0)
  writer.close()
  expect(await storedRecord(shelf, name)).toMatchObject({ storedBytes: 200_000 })
  await shelf.catalogue.putShard(record)
  await downloadShard(options())
  expect(same(await stored(), expectedBytes())).toBe(true)
})

test('a shard that is meant to have another size starts anew', async () => {
  const handle = await shelf.store.openWrite(name)
  handle.write(noise(2 * byteLength), 0)
  handle.close()
  await shelf.catalogue.putShard({
    ...name,
    storedBytes: 2 * byteLength,
    totalBytes: 2 * byteLength,
    checksums: [1],
    pieceBytes: 2 * byteLength,
  })
  await downloadShard(options())
  expect(same(await stored(), expectedBytes())).toBe(true)
  expect(await shelf.store.size(name)).toBe(byteLength)
})
