/**
 * The part of a GPU's memory that the engine may fill: buffers that are counted.
 *
 * WebGPU grants what it does not have and pages it out silently, so it is the budget that refuses.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { tensorUsage, type Gpu } from './gpu.ts'

export interface GpuMemory {
  /** A buffer for tensors, zeroed. @throws EngineError 'gpu-full' beyond the budget, or what one buffer may be */
  buffer(byteLength: number): GPUBuffer
  /** The same, with content. */
  filled(content: Float32Array | Uint8Array): GPUBuffer
  free(buffer: GPUBuffer): void
  /** Held now. */
  bytes(): number
  /** @throws EngineError 'gpu-full' when so much more would be beyond the budget */
  checkRoom(moreBytes: number): void
  /** From now on; what is held stays. */
  setBudget(bytes: number): void
  /**
   * Runs `use` and hears what WebGPU says of it, which it says to nobody who does not ask.
   *
   * @throws EngineError 'gpu-full'; 'gpu-lost' for all else that WebGPU says, because the results may be wrong; what `use`
   *   throws
   */
  checked<T>(use: () => Promise<T>): Promise<T>
}

/** @param budgetBytes that may be filled */
export function createGpuMemory({ name, device, problem, fail }: Gpu, budgetBytes: number): GpuMemory {
  const held = new Set<GPUBuffer>()
  const mostAtOnce = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize)
  let heldBytes = 0

  const full = (what: string) =>
    new EngineError(
      'gpu-full',
      `The GPU of this device (${name}) ${what}. Offer more of its memory under Settings, or let other devices join.`,
    )

  function checkRoom(moreBytes: number): void {
    const neededBytes = heldBytes + moreBytes
    if (neededBytes > budgetBytes)
      throw full(`would need ${inMegabytes(neededBytes)}, and ${inMegabytes(budgetBytes)} are offered`)
  }

  function buffer(byteLength: number): GPUBuffer {
    if (byteLength > mostAtOnce)
      throw full(
        `takes ${inMegabytes(mostAtOnce)} at once, and a part of the model has ${inMegabytes(byteLength)}`,
      )
    checkRoom(byteLength)
    const made = device.createBuffer({ size: Math.max(leastBytes, byteLength), usage: tensorUsage })
    heldBytes += made.size
    held.add(made)
    return made
  }

  return {
    buffer,
    checkRoom,
    filled(content) {
      const made = buffer(content.byteLength)
      device.queue.writeBuffer(made, 0, content as Uint8Array<ArrayBuffer>)
      return made
    },
    free(buffer) {
      if (!held.delete(buffer)) return
      heldBytes -= buffer.size
      buffer.destroy()
    },
    bytes: () => heldBytes,
    setBudget(bytes) {
      budgetBytes = bytes
    },
    async checked(use) {
      for (const kind of errorKinds) device.pushErrorScope(kind)
      const [outcome] = await Promise.allSettled([use()])
      const errors: (GPUError | null)[] = []
      for (const _ of errorKinds) errors.unshift(await device.popErrorScope())
      if (problem()) throw problem()!
      const [wrong, broken, refused] = errors
      if (refused) throw full(`has no room left: ${refused.message}`)
      const said = wrong ?? broken
      if (said) throw fail(said.message)
      if (outcome.status === 'rejected') throw outcome.reason
      return outcome.value
    },
  }
}

/** What a binding takes at least. */
const leastBytes = 16

const errorKinds = ['internal', 'validation', 'out-of-memory'] as const

const inMegabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
