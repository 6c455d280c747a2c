/**
 * One WebAssembly.Memory, the kernels over it and the heap in it. A backend has one arena now; addresses are always
 * those of an arena, so that a device with more memory than one can span may have several.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { createHeap } from './wasm-heap.ts'
import { heapStart, type Kernels } from './wasm-kernels.ts'

const pageBytes = 65_536
/** 4 GiB less a page, so that the end of memory is an address too. */
const mostPages = 65_535
/** Memory grows by at least so much: growing is a system call, untouched memory is free. */
const growthPages = 256

export type Arena = {
  readonly memory: WebAssembly.Memory
  readonly kernels: Kernels
  /** What it may hold at most. */
  readonly maxBytes: number
  /** Bytes handed out now. */
  used(): number
  /** An address, a multiple of 64. What lies there is undefined. @throws EngineError 'out-of-memory' */
  allocate(byteLength: number): number
  free(address: number): void
  /** Views. Take them afresh after anything was allocated. */
  bytes(address: number, length: number): Uint8Array
  floats(address: number, length: number): Float32Array
  words(address: number, length: number): Uint32Array
}

/** @param maxBytes what the arena may hold at most; less when the browser does not reserve as much */
export function createArena(module: WebAssembly.Module, shared: boolean, maxBytes: number): Arena {
  const { memory, maximum } = reserve(shared, Math.min(mostPages, Math.ceil(maxBytes / pageBytes)))
  const { exports } = new WebAssembly.Instance(module, { env: { memory } })

  const heap = createHeap(heapStart, (end) => {
    const missing = Math.ceil((end - memory.buffer.byteLength) / pageBytes)
    if (missing <= 0) return true
    const left = maximum - memory.buffer.byteLength / pageBytes
    return (
      grow(memory, Math.min(left, Math.max(missing, growthPages)), missing) || grow(memory, missing, missing)
    )
  })

  return {
    memory,
    kernels: exports as Kernels,
    maxBytes: maximum * pageBytes,
    used: heap.used,
    allocate(byteLength) {
      const address = byteLength <= maximum * pageBytes ? heap.allocate(byteLength) : null
      if (address === null) throw outOfMemory(byteLength, heap.used(), maximum * pageBytes)
      return address
    },
    free: heap.free,
    bytes: (address, length) => new Uint8Array(memory.buffer, address, length),
    floats: (address, length) => new Float32Array(memory.buffer, address, length),
    words: (address, length) => new Uint32Array(memory.buffer, address, length),
  }
}

/**
 * Shared memory reserves its maximum at once, and a phone may have less address space to give than 4 GiB: then half,
 * and half of that.
 */
function reserve(shared: boolean, most: number): { memory: WebAssembly.Memory; maximum: number } {
  for (let maximum = most; ; maximum = Math.floor(maximum / 2)) {
    try {
      return { memory: new WebAssembly.Memory({ initial: 1, maximum, shared }), maximum }
    } catch (cause) {
      if (maximum > 8192) continue
      throw new EngineError(
        'out-of-memory',
        `This device did not reserve ${mib(maximum * pageBytes)} for the engine. Close other tabs or programs and reload the page.`,
        { cause },
      )
    }
  }
}

function grow(memory: WebAssembly.Memory, pages: number, needed: number): boolean {
  if (pages < needed) return false
  try {
    memory.grow(pages)
    return true
  } catch {
    return false
  }
}

export function outOfMemory(byteLength: number, used: number, most: number): EngineError {
  return new EngineError(
    'out-of-memory',
    `This device could not find ${mib(byteLength)} of memory beside the ${mib(used)} in use; the engine may hold ${mib(most)}. Close other tabs or programs, or let another device hold more of the model.`,
  )
}

const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
