/**
 * All memory of a backend: as many arenas as weights need, because one WebAssembly.Memory spans 4 GiB at most.
 *
 * The first arena holds what most operations work on. Weights fill up to half of it, then others, so that hidden states
 * and KV caches stay together as long as they can.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { createArena, outOfMemory, type Arena, type Budget } from './wasm-arena.ts'
import { createInstances } from './wasm-instances.ts'
import { scratchBytes } from './wasm-kernels.ts'

export type Place = { arena: Arena; address: number }

/** Of an arena, what weights or caches may fill: the rest is for the operands that operations bring along. */
const share = 31 / 32
/** Of the first arena, what weights may fill. */
const firstShare = 1 / 2

export type Arenas = Budget & {
  readonly first: Arena
  readonly all: readonly Arena[]
  /** Room for weights, in any arena. @throws EngineError 'out-of-memory' */
  allocateWeights(byteLength: number): Place
  /** Room for what operations change, in the first arena if there is any. @throws EngineError 'out-of-memory' */
  allocate(byteLength: number): Place
  /** Arenas to try for so many bytes that change, the best first; opens another one when those are not enough. */
  candidates(byteLength: number): Iterable<Arena>
  /**
   * Prepares all for so many threads, which must be outside their loops.
   *
   * @throws EngineError 'out-of-memory', and nothing changed
   */
  setThreads(count: number): void
  /** `listener` is told of every arena that is opened from now on. */
  listen(listener: () => void): void
}

export type ArenasOptions = {
  module: WebAssembly.Module
  shared: boolean
  /** Of all arenas together. */
  maxBytes: number
  /** Of each. */
  arenaBytes: number
}

/** @throws EngineError 'out-of-memory' when not even a small arena can be had */
export function createArenas(options: ArenasOptions): Arenas {
  const { module, shared, maxBytes, arenaBytes } = options
  let threads = 1
  let onopen = () => {}
  const all: Arena[] = []
  const memories: WebAssembly.Memory[] = []
  const kernelsOf = createInstances(module, (arena) => memories[arena]!)
  const budget: Budget = {
    maxBytes,
    used: () => all.reduce((sum, arena) => sum + arena.used(), 0),
  }

  function open(maxBytes: number): Arena {
    const number = all.length
    const instantiate = (memory: WebAssembly.Memory) => {
      memories[number] = memory
      return kernelsOf(number)
    }
    const arena = createArena({ number, instantiate, shared, maxBytes, budget, threads })
    all.push(arena)
    return arena
  }

  /** Another arena with room for so many bytes; null when this device has none to give. */
  function openFor(byteLength: number): Arena | null {
    // as large as the last one: what the browser did not reserve then, it does not reserve now
    const last = all.at(-1)!
    const most = last.maxBytes
    if (byteLength > most * share || byteLength > maxBytes - budget.used()) return null
    // what an empty arena had no room for, the machine has no memory for
    if (all.length > 1 && last.used() <= threads * scratchBytes) return null
    try {
      const arena = open(most)
      onopen()
      return arena
    } catch (thrown) {
      if (thrown instanceof EngineError || thrown instanceof RangeError) return null
      throw thrown
    }
  }

  function* candidates(byteLength: number, shareOfFirst: number): Generator<Arena> {
    for (const [i, arena] of all.entries()) {
      const most = arena.maxBytes * (i === 0 ? shareOfFirst : share)
      if (arena.used() + byteLength <= most) yield arena
    }
    const another = openFor(byteLength)
    if (another) yield another
    // rather full than not at all
    yield* all
  }

  function allocate(byteLength: number, shareOfFirst: number): Place {
    for (const arena of candidates(byteLength, shareOfFirst)) {
      const address = arena.tryAllocate(byteLength)
      if (address !== null) return { arena, address }
    }
    return outOfMemory(byteLength, budget)
  }

  const first = open(arenaBytes)
  return {
    ...budget,
    first,
    all,
    allocateWeights: (byteLength) => allocate(byteLength, firstShare),
    allocate: (byteLength) => allocate(byteLength, share),
    candidates: (byteLength) => candidates(byteLength, share),
    setThreads(count) {
      try {
        for (const arena of all) arena.setThreads(count)
        threads = count
      } catch (thrown) {
        for (const arena of all) arena.setThreads(threads)
        throw thrown
      }
    },
    listen(listener) {
      onopen = listener
    },
  }
}
