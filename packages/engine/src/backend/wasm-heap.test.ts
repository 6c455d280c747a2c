import { describe, expect, test } from 'vitest'
import { createPrng } from '../model/prng.ts'
import { createHeap } from './wasm-heap.ts'

/** A heap that may reach to `most`. */
const heapUpTo = (most: number) => createHeap(0x400, (end) => end <= most)

describe('the heap of an arena', () => {
  test('hands out aligned ranges that never overlap, whatever is freed in between', () => {
    const random = createPrng(3)
    const heap = heapUpTo(1 << 20)
    const held = new Map<number, number>()
    for (let step = 0; step < 4000; step++) {
      const byteLength = Math.ceil(random() * 5000)
      const address = random() < 0.55 ? heap.allocate(byteLength) : null
      if (address !== null) {
        expect(address % 64).toBe(0)
        const overlapping = [...held].filter(
          ([other, length]) => address < other + length && address + byteLength > other,
        )
        expect(overlapping).toEqual([])
        held.set(address, byteLength)
      } else {
        const some = [...held.keys()][Math.floor(random() * held.size)]
        if (some === undefined) continue
        heap.free(some)
        held.delete(some)
      }
    }
    for (const address of held.keys()) heap.free(address)
    expect(heap.used()).toBe(0)
    // all gaps have joined: the whole range is one again
    expect(heap.allocate((1 << 20) - 0x400)).toBe(0x400)
  })

  test('a range that does not fit is refused, and nothing is lost by asking', () => {
    const heap = heapUpTo(0x400 + 1024)
    const first = heap.allocate(512)
    expect(heap.allocate(1024)).toBeNull()
    expect(heap.used()).toBe(512)
    expect(heap.allocate(512)).toBe(0x400 + 512)
    heap.free(first!)
    heap.free(first!)
    expect(heap.used()).toBe(512)
    expect(heap.allocate(512)).toBe(first)
  })

  test('a last gap grows instead of being left behind', () => {
    const heap = heapUpTo(0x400 + 2048)
    const first = heap.allocate(1024)
    heap.free(first!)
    expect(heap.allocate(2048)).toBe(first)
  })
})
