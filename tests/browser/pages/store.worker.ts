/**
 * The store of a real tab: OPFS and IndexedDB in a dedicated worker.
 *
 * @module
 */
import { EngineError } from '../../../packages/engine/src/errors.ts'
import { downloadShard, type ShardPart } from '../../../packages/engine/src/store/download.ts'
import { createIdbCatalogue } from '../../../packages/engine/src/store/idb-catalogue.ts'
import { removeModel, storedModels } from '../../../packages/engine/src/store/inventory.ts'
import { readShard } from '../../../packages/engine/src/store/load-shard.ts'
import { createOpfsStore } from '../../../packages/engine/src/store/opfs-store.ts'
import type { Shelf } from '../../../packages/engine/src/store/piece-writer.ts'
import { storeContract } from '../../../packages/engine/src/store/store.contract.ts'
import { createUrlSource } from '../../../packages/engine/src/store/url-source.ts'
import { xxh32 } from '../../../packages/engine/src/store/checksum.ts'
import { serve } from './served.ts'

const openShelf = async (): Promise<Shelf> => ({
  store: await createOpfsStore(),
  catalogue: await createIdbCatalogue(),
})

async function emptyShelf() {
  const shelf = await openShelf()
  for (const { model } of await shelf.catalogue.models()) await removeModel(shelf, model)
  for (const { model } of await shelf.store.list()) await removeModel(shelf, model)
  return { ...shelf, reopen: openShelf }
}

const name = { model: 'alpha', file: 'layer-000' }

/** The whole file of a server, copied as it is in units of 4096 bytes. */
const wholeFile = (sizeBytes: number): ShardPart => ({
  sourceOffset: 0,
  sourceBytes: sizeBytes,
  offset: 0,
  unitSourceBytes: 4096,
  unitBytes: 4096,
  pack(source, out) {
    out.fill(0)
    out.set(source)
  },
})

let downloadedBytes = 0

serve({
  contract: () => storeContract.map(({ title }) => title),
  async runCase(title: string) {
    await storeContract.find((storeCase) => storeCase.title === title)!.run(emptyShelf)
  },

  /** @returns 'stored', or the code and sentence of the error */
  async download(url: string) {
    const shelf = await openShelf()
    const source = createUrlSource(url)
    const { sizeBytes } = await source.describe()
    const byteLength = Math.ceil(sizeBytes / 4096) * 4096
    try {
      await downloadShard({
        ...shelf,
        source,
        name,
        parts: [wholeFile(sizeBytes)],
        byteLength,
        pieceBytes: 1024 * 1024,
        onprogress: ({ packedBytes }) => (downloadedBytes = packedBytes),
      })
      return 'stored'
    } catch (thrown) {
      if (thrown instanceof EngineError) return `${thrown.code}: ${thrown.message}`
      throw thrown
    }
  },
  downloadedBytes: () => downloadedBytes,

  /** XXH32 of what is stored, read into shared WASM memory. */
  async storedHash(sizeBytes: number) {
    const memory = new WebAssembly.Memory({ initial: 1024, maximum: 1024, shared: true })
    await readShard({ ...(await openShelf()), name, into: () => new Uint8Array(memory.buffer) })
    return xxh32(new Uint8Array(memory.buffer, 0, sizeBytes))
  },

  async damage(at: number) {
    const { store } = await openShelf()
    const writer = await store.openWrite(name)
    writer.write(new Uint8Array([1, 2, 3, 4]), at)
    writer.close()
  },

  async removeModel() {
    await removeModel(await openShelf(), name.model)
  },

  async stored() {
    return storedModels(await openShelf())
  },

  /** From now on the disk takes so many bytes and no more, without an exception: the standard allows it. */
  shortenWrites(roomBytes: number) {
    const { write } = FileSystemSyncAccessHandle.prototype
    let left = roomBytes
    FileSystemSyncAccessHandle.prototype.write = function (buffer, options) {
      const part = (buffer as Uint8Array).subarray(0, left)
      left -= part.length
      return write.call(this, part, options)
    }
  },

  /** A handle held open for as long as the tab lives, as the engine does with weights that it streams. */
  async holdOpen() {
    const reader = await (await createOpfsStore()).openRead(name)
    return reader.byteLength
  },
})
