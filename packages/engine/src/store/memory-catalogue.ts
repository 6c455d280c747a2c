/**
 * A {@link Catalogue} that forgets: for Node and for tests.
 *
 * @module
 */
import type { Catalogue, ModelRecord, ShardRecord } from './shard-store.ts'
import { pathOf } from './store-errors.ts'

export function createMemoryCatalogue(): Catalogue {
  const models = new Map<string, ModelRecord>()
  const shards = new Map<string, ShardRecord>()
  return {
    async models() {
      return structuredClone([...models.values()])
    },
    async putModel(record) {
      models.set(record.model, { ...record })
    },
    async shard(name) {
      const record = shards.get(pathOf(name))
      return record ? structuredClone(record) : null
    },
    async putShard(record) {
      shards.set(pathOf(record), structuredClone(record))
    },
    async remove({ model, file }) {
      if (file === undefined) models.delete(model)
      for (const [path, record] of shards) {
        if (record.model === model && (file === undefined || record.file === file)) shards.delete(path)
      }
    },
  }
}
