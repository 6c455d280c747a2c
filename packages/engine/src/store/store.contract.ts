/**
 * The behaviour of a {@link ShardStore} with its {@link Catalogue}, as cases without a test framework: they run in
 * vitest, and in a dedicated worker of a browser.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { equal, rejects, throws } from '../testing/expectations.ts'
import { noise } from '../testing/noise.ts'
import type { Shelf } from './piece-writer.ts'
import { catalogueContract, type StoreCase } from './catalogue.contract.ts'
import type { FileName } from './shard-store.ts'

export const storeContract: readonly StoreCase[] = [
  {
    title: 'a file that was never written is not there',
    async run(create) {
      const { store } = await create()
      equal(await store.size(layer0), null)
      await rejects(store.openRead(layer0), 'shard-corrupt')
      equal(await store.list(), [])
    },
  },
  {
    title: 'what is written at an offset is read there, from another tab too',
    async run(create) {
      const shelf = await create()
      const bytes = noise(300_000)
      const writer = await shelf.store.openWrite(layer0)
      writer.write(bytes.subarray(100_000), 100_000)
      writer.write(bytes.subarray(0, 100_000), 0)
      equal(writer.byteLength, bytes.length)
      writer.flush()
      writer.close()
      for (const { store } of [shelf, await shelf.reopen()]) {
        equal(await store.size(layer0), bytes.length)
        const reader = await store.openRead(layer0)
        const into = new Uint8Array(1000)
        reader.read(into, 99_500)
        equal([...into], [...bytes.subarray(99_500, 100_500)])
        equal(reader.byteLength, bytes.length)
        reader.close()
      }
    },
  },
  {
    title: 'bytes are read straight into shared WASM memory',
    async run(create) {
      const { store } = await create()
      await put(store, layer0, noise(70_000))
      const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true })
      const reader = await store.openRead(layer0)
      reader.read(new Uint8Array(memory.buffer, 4096, 70_000), 0)
      reader.close()
      equal([...new Uint8Array(memory.buffer, 4096, 64)], [...noise(64)])
      equal(new Uint8Array(memory.buffer)[4095], 0)
    },
  },
  {
    title: 'several readers share a file, also while it is written',
    async run(create) {
      const shelf = await create()
      await put(shelf.store, layer0, noise(10_000))
      const other = await shelf.reopen()
      const readers = [await shelf.store.openRead(layer0), await other.store.openRead(layer0)]
      for (const reader of readers) equal(firstByte(reader), noise(1)[0])
      for (const reader of readers) reader.close()
      const writer = await shelf.store.openWrite(layer0)
      const reader = await other.store.openRead(layer0)
      equal(firstByte(reader), noise(1)[0])
      reader.close()
      writer.close()
    },
  },
  {
    title: 'reading beyond the end is a damaged shard, not silence',
    async run(create) {
      const { store } = await create()
      await put(store, layer0, noise(100))
      const reader = await store.openRead(layer0)
      throws(() => reader.read(new Uint8Array(50), 80), 'shard-corrupt')
      reader.close()
    },
  },
  {
    title: 'a file opened for writing again keeps what it holds',
    async run(create) {
      const { store } = await create()
      await put(store, layer0, noise(1000))
      const writer = await store.openWrite(layer0)
      equal(writer.byteLength, 1000)
      writer.write(new Uint8Array([7]), 1000)
      writer.close()
      equal(await store.size(layer0), 1001)
      const reader = await store.openRead(layer0)
      equal(firstByte(reader), noise(1)[0])
      reader.close()
    },
  },
  {
    title: 'a file has one writer at a time',
    async run(create) {
      const shelf = await create()
      const other = await shelf.reopen()
      const writer = await shelf.store.openWrite(layer0)
      await rejects(other.store.openWrite(layer0), 'storage-unavailable')
      writer.close()
      const next = await other.store.openWrite(layer0)
      next.close()
    },
  },
  {
    title: 'of two bodies for one file the second waits, in another tab too; other files do not',
    async run(create) {
      const shelf = await create()
      const other = await shelf.reopen()
      const told: string[] = []
      let release = () => {}
      const released = new Promise<void>((resolve) => (release = resolve))
      const first = shelf.store.exclusive(layer0, async () => {
        told.push('first begins')
        await released
        told.push('first ends')
      })
      const second = other.store.exclusive(layer0, async () => void told.push('second'))
      await other.store.exclusive(layer1, async () => void told.push('another file'))
      release()
      await Promise.all([first, second])
      equal(told, ['first begins', 'another file', 'first ends', 'second'])
    },
  },
  {
    title: 'waiting for a file can be given up, and a body that fails lets the next one in',
    async run(create) {
      const { store } = await create()
      let release = () => {}
      const released = new Promise<void>((resolve) => (release = resolve))
      const failing = store.exclusive(layer0, async () => {
        await released
        throw new EngineError('storage-full', 'full')
      })
      const controller = new AbortController()
      const impatient = store.exclusive(layer0, async () => 'never', controller.signal)
      controller.abort()
      await rejects(impatient, 'aborted')
      release()
      await rejects(failing, 'storage-full')
      equal(await store.exclusive(layer0, async () => 'next'), 'next')
    },
  },
  {
    title: 'files are listed by model, and removed one by one or with their model',
    async run(create) {
      const { store } = await create()
      await put(store, layer0, noise(10))
      await put(store, layer1, noise(20))
      await put(store, { model: 'other', file: 'head' }, noise(30))
      const listed = (await store.list()).toSorted((a, b) => a.byteLength - b.byteLength)
      equal(listed, [
        { ...layer0, byteLength: 10 },
        { ...layer1, byteLength: 20 },
        { model: 'other', file: 'head', byteLength: 30 },
      ])
      await store.remove(layer0)
      equal(await store.size(layer0), null)
      equal(await store.size(layer1), 20)
      await store.remove({ model: 'alpha' })
      await store.remove({ model: 'alpha' })
      await store.remove(layer0)
      equal((await store.list()).length, 1)
    },
  },
  {
    title: 'a name that could leave its folder is refused',
    async run(create) {
      const { store } = await create()
      for (const bad of ['..', '', 'a/b', 'a\\b', '.']) {
        await rejects(store.openWrite({ model: 'alpha', file: bad }), 'bug')
        await rejects(store.size({ model: bad, file: 'head' }), 'bug')
        await rejects(store.remove({ model: bad }), 'bug')
      }
    },
  },
  ...catalogueContract,
]

const layer0: FileName = { model: 'alpha', file: 'layer-000' }
const layer1: FileName = { model: 'alpha', file: 'layer-001' }

async function put(store: Shelf['store'], name: FileName, bytes: Uint8Array): Promise<void> {
  const writer = await store.openWrite(name)
  writer.write(bytes, 0)
  writer.flush()
  writer.close()
}

function firstByte(reader: { read(into: Uint8Array, offset: number): void }): number | undefined {
  const into = new Uint8Array(1)
  reader.read(into, 0)
  return into[0]
}
