import { describe, expect, it } from 'vitest'
import { createReferenceBackend } from '../../backend/reference.ts'
import { createInlineReader } from '../../store/shard-reader.ts'
import { createMemoryStore } from '../../store/memory-store.ts'
import { measureDisk } from './disk-speed.ts'
import { measureLayerCosts } from './layer-costs.ts'
import { measureProducts } from './product-rates.ts'
import { steadyTimeMs } from './steady-time.ts'

const small = { dim: 256, kvDim: 256, ffnDim: 512 }

/** Holds the thread for so long. */
function busy(ms: number): void {
  const startMs = performance.now()
  while (performance.now() - startMs < ms);
}

describe('measuring', () => {
  it('waits until a piece of work runs as fast as it will', async () => {
    let passes = 0
    const ms = await steadyTimeMs(() => busy(passes++ < 6 ? 6 : 1))
    expect(ms).toBeGreaterThanOrEqual(1)
    expect(ms).toBeLessThan(2)
  })

  it('does not go on for ever with slow work', async () => {
    let passes = 0
    await steadyTimeMs(() => {
      passes++
      busy(150)
    })
    expect(passes).toBeLessThanOrEqual(3)
  })

  it('gives a rate to each weight type, of plain loops too, and gives back the memory', async () => {
    const backend = await createReferenceBackend()
    const { weightBytesPerSec, prefillBytesPerSec } = await measureProducts(
      backend,
      ['Q8_0', 'Q6_K'],
      small,
      1,
    )
    expect(Object.keys(weightBytesPerSec)).toEqual(['Q8_0', 'Q6_K'])
    for (const rates of [weightBytesPerSec, prefillBytesPerSec])
      for (const rate of Object.values(rates)) expect(rate).toBeGreaterThan(1e6)
    const costs = await measureLayerCosts(backend, small)
    expect(costs.layerFixedMs).toBeGreaterThanOrEqual(costs.kvAppendMs)
    expect(costs.kvReadBytesPerSec).toBeGreaterThan(1e6)
    expect(backend.memoryBytes()).toBe(0)
  })

  it('reads by the reader that layers stream through, however slow, and leaves no file behind', async () => {
    const backend = await createReferenceBackend()
    const store = createMemoryStore()
    let ended = 0
    const lendReader = () => ({
      reader: createInlineReader(store, 2e7),
      end: () => void ended++,
    })
    const { diskReadBytesPerSec, diskWriteBytesPerSec } = await measureDisk(backend, store, lendReader)
    expect(diskReadBytesPerSec / 2e7).toBeCloseTo(1, 0)
    expect(diskWriteBytesPerSec).toBeGreaterThan(1e7)
    expect(await store.list()).toEqual([])
    expect(ended).toBe(1)
  })
})
