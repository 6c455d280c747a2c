/**
 * One WebAssembly.Memory, the kernels over it and the heap in it.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { createBuffer } from './wasm-buffer.ts'
import { createHeap } from './wasm-heap.ts'
import { heapStart, scratchBytes, type Kernels } from './wasm-kernels.ts'

const pageBytes = 65_536
/** 4 GiB less a page, so that the end of memory is an address too. */
const mostPages = 65_535
/** Memory grows by at least so much: growing is a system call, untouched memory is free. */
const growthPages = 256

/** Memory to be handed out. */
export type Space = {
  /** Bytes handed out now. */
  used(): number
  /** An address, a multiple of 64; null when there is no room. What lies there is undefined. */
  tryAllocate(byteLength: number): number | null
  /** @throws EngineError 'out-of-memory' */
  allocate(byteLength: number): number
  free(address: number): void
}

export type Arena = Space & {
  /** Bytes of its memory, from the beginning, that were ever used. */
  reached(): number
  readonly memory: WebAssembly.Memory
  /** The caller's instance. */
  readonly kernels: Kernels
  /** What it may hold at most. */
  readonly maxBytes: number
  /** To be called while threads are outside their loops. @throws EngineError 'out-of-memory', and nothing changed */
  setThreads(count: number): void
  /** Views. Take them afresh after anything was allocated. */
  bytes(address: number, length: number): Uint8Array
  floats(address: number, length: number): Float32Array
  words(address: number, length: number): Uint32Array
}

/** What all arenas of a backend may hold together. */
export type Budget = { used(): number; readonly maxBytes: number }

export type ArenaOptions = {
  /** Its place among the arenas. */
  number: number
  /** @throws RangeError when there is no room for another instance */
  instantiate(memory: WebAssembly.Memory): Kernels
  shared: boolean
  /** What it may hold at most; less when the browser does not reserve as much. */
  maxBytes: number
  budget: Budget
  threads: number
}

/** @throws EngineError 'out-of-memory' when not even a small memory can be had; RangeError of `instantiate` */
export function createArena(options: ArenaOptions): Arena {
  const { number, instantiate, shared, maxBytes, budget, threads } = options
  const { memory, maximum } = reserve(shared, Math.min(mostPages, Math.ceil(maxBytes / pageBytes)))

  const heap = createHeap(heapStart, (end) => {
    const missing = Math.ceil((end - memory.buffer.byteLength) / pageBytes)
    if (missing <= 0) return true
    const left = maximum - memory.buffer.byteLength / pageBytes
    return (
      grow(memory, Math.min(left, Math.max(missing, growthPages)), missing) || grow(memory, missing, missing)
    )
  })

  const space: Space = {
    used: heap.used,
    tryAllocate(byteLength) {
      const fits = byteLength <= maximum * pageBytes && byteLength <= budget.maxBytes - budget.used()
      return fits ? heap.allocate(byteLength) : null
    },
    allocate: (byteLength) => space.tryAllocate(byteLength) ?? outOfMemory(byteLength, budget),
    free: heap.free,
  }
  const scratch = createBuffer(space)
  scratch.at(threads * scratchBytes)
  const kernels = instantiate(memory)
  const setThreads = (count: number) => kernels.setUp(number, count, scratch.at(count * scratchBytes))
  setThreads(threads)

  return {
    ...space,
    reached: heap.reached,
    memory,
    kernels,
    maxBytes: maximum * pageBytes,
    setThreads,
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

/** @throws EngineError 'out-of-memory', always */
export function outOfMemory(byteLength: number, budget: Budget): never {
  const most = Number.isFinite(budget.maxBytes) ? `; the engine may hold ${mib(budget.maxBytes)}` : ''
  throw new EngineError(
    'out-of-memory',
    `This device could not find ${mib(byteLength)} of memory beside the ${mib(budget.used())} in use${most}. Close other tabs or programs, or let another device hold more of the model.`,
  )
}

const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
