/**
 * What this device holds of which model, and how to be rid of it.
 *
 * @module
 */
import type { Shelf } from './piece-writer.ts'
import type { ModelRecord } from './shard-store.ts'

/** Names the files of one model in one layout: its address, its revision and how its bytes are packed. */
export async function modelKey(url: string, revision: string, packing: string): Promise<string> {
  const text = new TextEncoder().encode(JSON.stringify([url, revision, packing]))
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', text)).subarray(0, 16)
  return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** All models with bytes on this device; files whose record was lost appear too, so that they can be removed. */
export async function storedModels({
  store,
  catalogue,
}: Shelf): Promise<(ModelRecord & { storedBytes: number })[]> {
  const records = new Map((await catalogue.models()).map((record) => [record.model, record]))
  const models = new Map<string, ModelRecord & { storedBytes: number }>()
  for (const { model, byteLength } of await store.list()) {
    const found = models.get(model) ?? { ...(records.get(model) ?? unknownModel(model)), storedBytes: 0 }
    models.set(model, { ...found, storedBytes: found.storedBytes + byteLength })
  }
  return [...models.values()].toSorted((a, b) => b.lastUsedAtMs - a.lastUsedAtMs)
}

const unknownModel = (model: string): ModelRecord => ({
  model,
  name: 'Unknown model',
  url: '',
  revision: '',
  sizeBytes: 0,
  lastUsedAtMs: 0,
})

/**
 * Files first: when another tab has one open nothing is forgotten, and a record without its file is not believed.
 *
 * @throws EngineError 'storage-unavailable' while another tab has a file of the model open
 */
export async function removeModel({ store, catalogue }: Shelf, model: string): Promise<void> {
  await store.remove({ model })
  await catalogue.remove({ model })
}
