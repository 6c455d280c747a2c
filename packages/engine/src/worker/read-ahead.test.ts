import { describe, expect, it } from 'vitest'
import type { Region } from '../backend/backend.ts'
import { createReferenceBackend } from '../backend/reference.ts'
import { createReadAhead } from './read-ahead.ts'

const backend = await createReferenceBackend()
const regions = (count: number): Region[] => Array.from({ length: count }, () => backend.region(64))
const turn = () => new Promise((resolve) => setTimeout(resolve))

/** Reads that end when told to; each fills its slot with its layer's number. */
function slowDisk() {
  const started: number[] = []
  const pending: { layer: number; finish(): void }[] = []
  const aborted: number[] = []
  return {
    started,
    aborted,
    read(layer: number, slot: Region, signal: AbortSignal): Promise<void> {
      started.push(layer)
      return new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted.push(layer)
          reject(new Error('aborted'))
        })
        pending.push({ layer, finish: () => (slot.bytes().fill(layer), resolve()) })
      })
    },
    async finish(layer: number) {
      await turn()
      const i = pending.findIndex((read) => read.layer === layer)
      pending.splice(i, 1)[0]!.finish()
      await turn()
    },
  }
}

describe('read-ahead', () => {
  it('reads a layer only when it is asked for where it is told not to read ahead', async () => {
    const disk = slowDisk()
    const ahead = createReadAhead({ order: [1, 4, 7], slots: regions(2), read: disk.read, ahead: false })
    for (const layer of [1, 4, 7, 1]) {
      await turn()
      const before = disk.started.length
      const region = ahead.acquire(layer)
      await disk.finish(layer)
      expect((await region).bytes()[0]).toBe(layer)
      ahead.release(layer)
      expect(disk.started.slice(before)).toEqual([layer])
    }
  })

  it('reads the next layers in running order, round and round, one for each slot that is free', async () => {
    const disk = slowDisk()
    const ahead = createReadAhead({ order: [1, 4, 7], slots: regions(2), read: disk.read })
    await turn()
    expect(disk.started).toEqual([1, 4])
    for (const [layer, next] of [
      [1, 7],
      [4, 1],
      [7, 4],
      [1, 7],
    ] as const) {
      await disk.finish(layer)
      const region = await ahead.acquire(layer)
      expect(region.bytes()[0]).toBe(layer)
      const before = disk.started.length
      await turn()
      expect(disk.started.length, 'a slot in use is not read into').toBe(before)
      ahead.release(layer)
      expect(disk.started.at(-1), 'before anything else runs').toBe(next)
    }
  })

  it('waits for a layer that is not there yet, and says how long', async () => {
    const disk = slowDisk()
    const ahead = createReadAhead({ order: [0, 1], slots: regions(2), read: disk.read })
    const acquired = ahead.acquire(0)
    await new Promise((resolve) => setTimeout(resolve, 30))
    await disk.finish(0)
    expect((await acquired).bytes()[0]).toBe(0)
    expect(ahead.stats().waitedMs).toBeGreaterThan(20)
    expect(ahead.stats().acquired).toBe(1)
  })

  it('starts again where a conversation does, and gives up what it was reading', async () => {
    const disk = slowDisk()
    const ahead = createReadAhead({ order: [0, 1, 2, 3, 4], slots: regions(2), read: disk.read })
    await turn()
    const acquired = ahead.acquire(3)
    await turn()
    expect(disk.aborted).toEqual([0, 1])
    expect(disk.started.slice(2)).toEqual([3, 4])
    await disk.finish(3)
    expect((await acquired).bytes()[0]).toBe(3)
  })

  it('passes a failed read on, and tries again the next time', async () => {
    let failures = 1
    const ahead = createReadAhead({
      order: [0, 1, 2],
      slots: regions(2),
      async read(layer, slot) {
        if (layer === 0 && failures-- > 0) throw new Error('damaged')
        slot.bytes().fill(layer)
      },
    })
    await expect(ahead.acquire(0)).rejects.toThrow('damaged')
    expect((await ahead.acquire(0)).bytes()[0]).toBe(0)
  })

  it('closes once nothing is read or in use', async () => {
    const disk = slowDisk()
    const ahead = createReadAhead({ order: [0, 1, 2], slots: regions(2), read: disk.read })
    await disk.finish(0)
    await ahead.acquire(0)
    let closed = false
    const closing = ahead.close().then(() => (closed = true))
    await turn()
    expect(closed).toBe(false)
    ahead.release(0)
    await closing
    expect(disk.started).toEqual([0, 1])
  })
})
