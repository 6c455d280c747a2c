/**
 * The behaviour of a {@link ShardStore} with its {@link Catalogue}, as cases without a test framework: they run in
 * vitest, and in a dedicated worker of a browser.
 *
 * @module
 */
import { EngineError, type ErrorCode } from '../errors.ts'
import { noise } from '../testing/noise.ts'
import type { Shelf } from './piece-writer.ts'
import type { FileName, ModelRecord, ShardRecord } from './shard-store.ts'

export type ShelfUnderTest = Shelf & {
  /** The same bytes, as another tab or a reloaded one opens them. */
  reopen(): Promise<Shelf>
}

export type StoreCase = {
  title: string
  /** @param create an empty shelf */
  run(create: () => Promise<ShelfUnderTest>): Promise<void>
}

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
  {
    title: 'records are kept for the next visit, and replaced as a whole',
    async run(create) {
      const shelf = await create()
      await shelf.catalogue.putModel({ ...model, name: 'old' })
      await shelf.catalogue.putModel(model)
      await shelf.catalogue.putShard({ ...shard, storedBytes: 1, checksums: [1, 2] })
      await shelf.catalogue.putShard(shard)
      const { catalogue } = await shelf.reopen()
      equal(await catalogue.models(), [model])
      equal(await catalogue.shard(layer0), shard)
      equal(await catalogue.shard(layer1), null)
    },
  },
  {
    title: 'a record handed out is a copy',
    async run(create) {
      const { catalogue } = await create()
      const given = structuredClone(shard)
      await catalogue.putShard(given)
      given.checksums.push(9)
      const got = await catalogue.shard(layer0)
      got?.checksums.push(9)
      equal(await catalogue.shard(layer0), shard)
    },
  },
  {
    title: 'a shard is forgotten alone, a model with all its shards and no others',
    async run(create) {
      const { catalogue } = await create()
      for (const name of ['alpha', 'alpha-2']) {
        await catalogue.putModel({ ...model, model: name })
        for (const file of ['layer-000', 'layer-001']) {
          await catalogue.putShard({ ...shard, model: name, file })
        }
      }
      await catalogue.remove(layer0)
      equal(await catalogue.shard(layer0), null)
      equal((await catalogue.shard(layer1))?.file, 'layer-001')
      await catalogue.remove({ model: 'alpha' })
      equal(await catalogue.shard(layer1), null)
      equal((await catalogue.models()).length, 1)
      equal((await catalogue.shard({ model: 'alpha-2', file: 'layer-000' }))?.model, 'alpha-2')
    },
  },
]

const layer0: FileName = { model: 'alpha', file: 'layer-000' }
const layer1: FileName = { model: 'alpha', file: 'layer-001' }

const model: ModelRecord = {
  model: 'alpha',
  name: 'Alpha',
  url: '/models/alpha.gguf',
  revision: '"v1"',
  sizeBytes: 12,
  lastUsedAtMs: 3,
}

const shard: ShardRecord = {
  ...layer0,
  storedBytes: 8,
  totalBytes: 12,
  checksums: [1, 0xffff_ffff],
  pieceBytes: 4,
}

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

/** Equal as JSON with sorted keys: enough for records, lists and numbers. */
function equal(actual: unknown, expected: unknown): void {
  const [a, b] = [canonical(actual), canonical(expected)]
  if (a !== b) throw new Error(`expected ${b.slice(0, 500)}, got ${a.slice(0, 500)}`)
}

const canonical = (value: unknown) =>
  JSON.stringify(value ?? null, (_key, part: unknown) =>
    part && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )

async function rejects(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  expectCode(
    await work.then(
      () => null,
      (thrown: unknown) => thrown,
    ),
    code,
  )
}

function throws(body: () => void, code: ErrorCode): void {
  let thrown: unknown = null
  try {
    body()
  } catch (error) {
    thrown = error
  }
  expectCode(thrown, code)
}

function expectCode(thrown: unknown, code: ErrorCode): void {
  if (!(thrown instanceof EngineError) || thrown.code !== code) {
    throw new Error(`expected an EngineError '${code}', got ${String(thrown)}`, { cause: thrown })
  }
}
