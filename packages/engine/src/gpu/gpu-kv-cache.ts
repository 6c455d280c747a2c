/**
 * K and V of one session in one layer on the GPU: two buffers (nKvHeads, capacity, headDim) in f32, which kernels read
 * and write in place. They are copied when they grow.
 *
 * @module
 */
import type { KvCache } from '../backend/backend.ts'
import type { GpuMemory } from './gpu-memory.ts'

/** Positions by which a cache grows. */
const stepPositions = 256

export type GpuKvCache = KvCache & {
  /** Null before anything is reserved. */
  buffers(): { key: GPUBuffer; value: GPUBuffer } | null
}

export function createGpuKvCache(
  device: GPUDevice,
  memory: GpuMemory,
  kvHeads: number,
  headDim: number,
): GpuKvCache {
  const rowBytes = headDim * 4
  const capacityFor = (positions: number) => Math.ceil(positions / stepPositions) * stepPositions
  const bytesOf = (capacity: number) => 2 * kvHeads * capacity * rowBytes
  let capacity = 0
  let held: { key: GPUBuffer; value: GPUBuffer } | null = null

  function grow(wider: number): void {
    const key = memory.buffer(bytesOf(wider) / 2)
    let value: GPUBuffer
    try {
      value = memory.buffer(bytesOf(wider) / 2)
    } catch (thrown) {
      memory.free(key)
      throw thrown
    }
    if (held) {
      const encoder = device.createCommandEncoder()
      for (const [from, to] of [
        [held.key, key],
        [held.value, value],
      ] as const)
        for (let head = 0; head < kvHeads; head++) {
          const [source, target] = [head * capacity * rowBytes, head * wider * rowBytes]
          encoder.copyBufferToBuffer(from, source, to, target, capacity * rowBytes)
        }
      device.queue.submit([encoder.finish()])
    }
    free()
    held = { key, value }
    capacity = wider
  }

  function free(): void {
    if (held) for (const buffer of [held.key, held.value]) memory.free(buffer)
    held = null
    capacity = 0
  }

  return {
    kvHeads,
    headDim,
    get capacity() {
      return capacity
    },
    get byteLength() {
      return bytesOf(capacity)
    },
    bytesFor: (positions) => bytesOf(capacityFor(positions)),
    reserve(positions) {
      if (positions > capacity) grow(capacityFor(positions))
    },
    free,
    buffers: () => held,
  }
}
