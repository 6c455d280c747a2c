/**
 * A {@link Catalogue} in IndexedDB: written with every piece of a download, read by every tab of the browser.
 *
 * @module
 */
import { openDB, type DBSchema, type IDBPDatabase } from 'idb'
import { EngineError } from '../errors.ts'
import type { Catalogue, ModelRecord, ShardRecord } from './shard-store.ts'

interface Schema extends DBSchema {
  models: { key: string; value: ModelRecord }
  shards: { key: [string, string]; value: ShardRecord }
}

/** @throws EngineError 'storage-unavailable' where this browser has no IndexedDB for us, as in some private windows */
export async function createIdbCatalogue(): Promise<Catalogue> {
  const db = await open().catch((cause: unknown) => {
    throw new EngineError(
      'storage-unavailable',
      `This browser does not let Hearth note what it has stored (${String(cause)}). Open the page in a normal window, and allow the site to store data.`,
      { cause },
    )
  })
  return {
    models: () => db.getAll('models'),
    async putModel(record) {
      await db.put('models', record)
    },
    async shard({ model, file }) {
      return (await db.get('shards', [model, file])) ?? null
    },
    async putShard(record) {
      await db.put('shards', record)
    },
    async remove({ model, file }) {
      if (file !== undefined) return db.delete('shards', [model, file])
      const both = db.transaction(['models', 'shards'], 'readwrite')
      await Promise.all([
        both.objectStore('models').delete(model),
        // Arrays sort behind all strings: every [model, file], whatever the file.
        both.objectStore('shards').delete(IDBKeyRange.bound([model], [model, []])),
        both.done,
      ])
    },
  }
}

function open(): Promise<IDBPDatabase<Schema>> {
  return openDB<Schema>('hearth', 1, {
    upgrade(db) {
      db.createObjectStore('models', { keyPath: 'model' })
      db.createObjectStore('shards', { keyPath: ['model', 'file'] })
    },
    // A tab with a newer version must not wait for this one.
    blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
  })
}
