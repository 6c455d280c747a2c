import { expect, test } from 'vitest'
import { modelKey, removeModel, storedModels } from './inventory.ts'
import { createMemoryCatalogue } from './memory-catalogue.ts'
import { createMemoryStore } from './memory-store.ts'

async function shelfWithTwoModels() {
  const shelf = { store: createMemoryStore(), catalogue: createMemoryCatalogue() }
  for (const [model, file, bytes] of [
    ['alpha', 'head', 10],
    ['alpha', 'layer-000', 20],
    ['stray', 'layer-000', 5],
  ] as const) {
    const writer = await shelf.store.openWrite({ model, file })
    writer.write(new Uint8Array(bytes), 0)
    writer.close()
  }
  await shelf.catalogue.putModel({
    model: 'alpha',
    name: 'Alpha',
    url: '/models/alpha.gguf',
    revision: '"v1"',
    sizeBytes: 100,
    lastUsedAtMs: 7,
  })
  return shelf
}

test('stored models are counted by their bytes, those without a record too', async () => {
  const models = await storedModels(await shelfWithTwoModels())
  expect(models.map(({ model, name, storedBytes }) => ({ model, name, storedBytes }))).toEqual([
    { model: 'alpha', name: 'Alpha', storedBytes: 30 },
    { model: 'stray', name: 'Unknown model', storedBytes: 5 },
  ])
})

test('a removed model leaves neither bytes nor records', async () => {
  const shelf = await shelfWithTwoModels()
  await removeModel(shelf, 'alpha')
  await removeModel(shelf, 'stray')
  expect(await storedModels(shelf)).toEqual([])
  expect(await shelf.catalogue.models()).toEqual([])
})

test("a model's key depends on address, revision and packing, and is the same on every visit", async () => {
  const keys = await Promise.all([
    modelKey('/a.gguf', '"v1"', 'w4'),
    modelKey('/a.gguf', '"v1"', 'w4'),
    modelKey('/a.gguf', '"v2"', 'w4'),
    modelKey('/a.gguf', '"v1"', 'w8'),
    modelKey('/b.gguf', '"v1"', 'w4'),
  ])
  expect(keys[0]).toMatch(/^[0-9a-f]{32}$/)
  expect(keys[1]).toBe(keys[0])
  expect(new Set(keys).size).toBe(4)
})
