/**
 * The behaviour of a {@link Catalogue}, as cases without a test framework.
 *
 * @module
 */
import { equal } from '../testing/expectations.ts'
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

export const catalogueContract: readonly StoreCase[] = [
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
