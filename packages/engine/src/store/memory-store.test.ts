import { describe, expect, test } from 'vitest'
import { createMemoryCatalogue } from './memory-catalogue.ts'
import { createMemoryStore } from './memory-store.ts'
import { storeContract } from './store.contract.ts'

describe('a store in memory', () => {
  for (const { title, run } of storeContract) {
    test(title, () =>
      run(async () => {
        const shelf = { store: createMemoryStore(), catalogue: createMemoryCatalogue() }
        return { ...shelf, reopen: async () => shelf }
      }),
    )
  }

  test('holds no more than its capacity, and says how much is missing', async () => {
    const store = createMemoryStore({ capacityBytes: 100 })
    const alice = await store.openWrite({ model: 'alpha', file: 'head' })
    const bob = await store.openWrite({ model: 'alpha', file: 'layer-000' })
    alice.write(new Uint8Array(60), 0)
    alice.write(new Uint8Array(60), 0)
    expect(() => bob.write(new Uint8Array(50), 0)).toThrow(
      expect.objectContaining({
        code: 'storage-full',
        message: expect.stringContaining('10 bytes of layer-000'),
      }),
    )
    bob.write(new Uint8Array(40), 0)
    alice.close()
    await store.remove({ model: 'alpha', file: 'head' })
    bob.write(new Uint8Array(60), 40)
    expect(bob.byteLength).toBe(100)
  })
})
