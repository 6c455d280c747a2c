import { beforeEach, expect, test } from 'vitest'
import { EngineError } from '../errors.ts'
import { bytesSource } from '../testing/bytes-source.ts'
import { noise } from '../testing/noise.ts'
import { createHeaderSource } from './header-source.ts'
import { createMemoryCatalogue } from './memory-catalogue.ts'
import { createMemoryStore } from './memory-store.ts'
import type { Shelf } from './piece-writer.ts'
import type { RangeSource } from './source.ts'

const content = noise(400_000)
const noNetwork = async () => {
  throw new EngineError('model-unreachable', 'offline')
}
const offline: RangeSource = {
  url: 'memory:model.gguf',
  describe: noNetwork,
  stream: () => ({ [Symbol.asyncIterator]: () => ({ next: noNetwork }) }),
}

let shelf: Shelf
beforeEach(() => {
  shelf = { store: createMemoryStore(), catalogue: createMemoryCatalogue() }
})

const open = (source: RangeSource) => createHeaderSource({ ...shelf, source, model: 'alpha' })

async function read(source: RangeSource, start: number, end: number): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of source.stream(start, end)) pieces.push(piece)
  return Buffer.concat(pieces)
}

test('what was read of the beginning is read from the store on the next visit, offline', async () => {
  const source = bytesSource(content)
  const first = await open(source)
  await read(first, 0, 100_000)
  await read(first, 100_000, 250_000)
  expect((await read(first, 50_000, 200_000)).equals(content.subarray(50_000, 200_000))).toBe(true)
  expect(source.requests).toHaveLength(2)
  await first.keep()

  const next = await open(offline)
  expect((await read(next, 0, 250_000)).equals(content.subarray(0, 250_000))).toBe(true)
  await expect(read(next, 200_000, 250_001)).rejects.toMatchObject({ code: 'model-unreachable' })
})

test('the catalogue describes a model that it knows, offline', async () => {
  const record = { model: 'alpha', name: 'Alpha', url: '/a', revision: '"v1"', sizeBytes: 9, lastUsedAtMs: 1 }
  await expect((await open(offline)).describe()).rejects.toMatchObject({ code: 'model-unreachable' })
  await shelf.catalogue.putModel(record)
  expect(await (await open(offline)).describe()).toEqual({ sizeBytes: 9, revision: '"v1"' })
})

test('bytes that do not continue the beginning pass through unremembered', async () => {
  const first = await open(bytesSource(content))
  await read(first, 0, 1000)
  await read(first, 5000, 6000)
  await first.keep()
  expect(await shelf.store.size({ model: 'alpha', file: 'header' })).toBe(1000)
})

test('a longer beginning replaces a shorter one; nothing new is not written again', async () => {
  const first = await open(bytesSource(content))
  await read(first, 0, 1000)
  await first.keep()
  const second = await open(bytesSource(content))
  await read(second, 0, 3000)
  await second.keep()
  await second.keep()
  expect((await read(await open(offline), 0, 3000)).equals(content.subarray(0, 3000))).toBe(true)
})

test('a damaged header is fetched again', async () => {
  const first = await open(bytesSource(content))
  await read(first, 0, 1000)
  await first.keep()
  const writer = await shelf.store.openWrite({ model: 'alpha', file: 'header' })
  writer.write(new Uint8Array([0, 0, 0, 0]), 500)
  writer.close()
  const source = bytesSource(content)
  expect((await read(await open(source), 0, 1000)).equals(content.subarray(0, 1000))).toBe(true)
  expect(source.requests).toEqual([{ start: 0, end: 1000 }])
})
