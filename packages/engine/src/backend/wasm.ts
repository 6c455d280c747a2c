/**
 * The fast backend: AssemblyScript kernels (packages/engine/kernels) over WASM memory, split over threads that share it.
 *
 * This file translates handles into addresses; the arithmetic and the division of work are the kernels'.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { weightTypes } from '../gguf/quant.ts'
import type { Backend, Product, Region, Vector } from './backend.ts'
import { createArena, type Arena } from './wasm-arena.ts'
import { createBuffer } from './wasm-buffer.ts'
import type { Thread, WasmHost } from './wasm-host.ts'
import {
  batchTokens,
  chooseArithmetic,
  maxHeadDim,
  maxProducts,
  sayArithmetic,
  scratchBytes,
  type Arithmetic,
  type Failed,
} from './wasm-kernels.ts'
import { createKvCache } from './wasm-kv-cache.ts'
import { wasmPacking } from './wasm-packing.ts'
import { createRopeTurns } from './wasm-rope-turns.ts'

export type WasmBackendOptions = {
  /** The caller's included. One if the page cannot share memory. */
  threads: number
  /** What weights, caches and scratch may take; as much as one memory can hold, by default. */
  maxBytes?: number
  /** Instead of the one that suits the machine: for tests and benches. */
  arithmetic?: Arithmetic
}

export type WasmBackend = Backend & {
  /** XXH32 of bytes in this backend's memory: a region's, say. */
  checksum(bytes: Uint8Array): number
  /** Reads a region as products do, and does nothing with it: what memory gives, for benches to divide by. */
  readThrough(region: Region): void
}

/** @throws EngineError 'out-of-memory' when not even the smallest memory can be had */
export async function createWasmBackend(host: WasmHost, options: WasmBackendOptions): Promise<WasmBackend> {
  const { maxBytes = Infinity, arithmetic = chooseArithmetic() } = options
  const shared = host.sharedMemory && options.threads > 1
  const module = await host.compile(shared ? `${arithmetic}-threads` : arithmetic)
  const arena = createArena(module, shared, maxBytes)
  const threads = shared ? await startThreads(host, module, arena.memory, options.threads) : []
  const count = threads.length + 1
  arena.kernels.setUp(count, arena.allocate(count * scratchBytes))
  const detail = `WASM, ${sayArithmetic[arithmetic]}, ${count === 1 ? 'one thread' : `${count} threads`}`
  return backendOf(arena, detail, () => {
    if (threads.length > 0) arena.kernels.quit()
    for (const thread of threads) thread.terminate()
  })
}

/** As many threads as the browser grants: one that does not start is done without. */
async function startThreads(
  host: WasmHost,
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  count: number,
): Promise<Thread[]> {
  const threads: Thread[] = []
  for (let thread = 1; thread < count; thread++) {
    try {
      threads.push(await host.spawn({ module, memory, thread }))
    } catch {
      break
    }
  }
  return threads
}

function backendOf(arena: Arena, detail: string, endThreads: () => void): WasmBackend {
  const { kernels } = arena
  const addresses = new WeakMap<object, number>()
  const activations = createBuffer(arena)
  const turns = createRopeTurns(arena)
  let isClosed = false

  function addressOf(handle: object): number {
    const address = addresses.get(handle)
    if (address === undefined)
      throw new EngineError('bug', 'A handle was given to a backend that did not make it')
    return address
  }

  /** The address of a vector that must hold at least `length` values. */
  function values(vector: Vector, length: number): number {
    if (vector.length < length) {
      throw new EngineError('bug', `A vector of ${vector.length} values was given where ${length} are needed`)
    }
    return addressOf(vector)
  }

  function vectorAt(address: number, length: number): Vector {
    const vector = { length, values: () => arena.floats(address, length) }
    addresses.set(vector, address)
    return vector
  }

  function inRegion(region: Region, offset: number, byteLength: number): number {
    if (offset % 64 !== 0 || offset + byteLength > region.byteLength) {
      throw new EngineError(
        'bug',
        `A tensor of ${byteLength} bytes at ${offset} does not lie in a region of ${region.byteLength}`,
      )
    }
    return addressOf(region) + offset
  }

  return {
    kind: 'wasm',
    detail,
    packing: wasmPacking,
    memoryBytes: () => (isClosed ? 0 : arena.used()),

    region(byteLength) {
      const address = arena.allocate(byteLength)
      const region = {
        byteLength,
        bytes: () => arena.bytes(address, byteLength),
        free: once(() => arena.free(address)),
      }
      addresses.set(region, address)
      return region
    },

    matrix(region, offset, type, rows, cols) {
      const groups = Math.ceil(rows / wasmPacking.rowGroup)
      const matrix = { type, rows, cols }
      addresses.set(matrix, inRegion(region, offset, groups * wasmPacking.groupBytes(type, cols)))
      return matrix
    },

    vector: (region, offset, length) => vectorAt(inRegion(region, offset, length * 4), length),

    scratch(length) {
      const address = arena.allocate(length * 4)
      arena.floats(address, length).fill(0)
      return Object.assign(vectorAt(address, length), { free: once(() => arena.free(address)) })
    },

    kvCache(kvHeads, headDim) {
      if (headDim > maxHeadDim) {
        throw new EngineError(
          'unsupported-model',
          `This model's attention heads are ${headDim} wide; the engine runs heads of up to ${maxHeadDim}. Choose another model.`,
        )
      }
      return createKvCache(arena, kvHeads, headDim, (cache, table) => addresses.set(cache, table))
    },

    embed(out, w, tokens) {
      const to = values(out, tokens.length * w.cols)
      for (const [i, token] of tokens.entries()) {
        if (token < 0 || token >= w.rows)
          throw new EngineError('bug', `Token ${token} is not one of ${w.rows}`)
        kernels.unpackRow(to + i * w.cols * 4, addressOf(w), weightTypes[w.type].id, token, w.cols)
      }
    },

    matmul(products, x, rows) {
      for (let from = 0; from < products.length; from += maxProducts) {
        multiply(products.slice(from, from + maxProducts), x, rows)
      }
    },

    rmsNorm(out, x, weight, rows, eps) {
      const length = rows * weight.length
      check(
        kernels.rmsNorm(values(out, length), values(x, length), addressOf(weight), rows, weight.length, eps),
      )
    },

    rope(x, inverseFrequencies, { rows, heads, headDim, position, pairs }) {
      const at = values(x, rows * heads * headDim)
      const table = turns.at(inverseFrequencies, position, rows)
      check(kernels.rope(at, table, rows, heads, headDim, pairs === 'adjacent' ? 1 : 0))
    },

    attention(out, q, k, v, cache, { rows, heads, position }) {
      const { kvHeads, headDim } = cache
      if (position + rows > cache.capacity) {
        throw new EngineError(
          'bug',
          `Position ${position + rows - 1} is beyond the ${cache.capacity} reserved`,
        )
      }
      const [wide, narrow] = [rows * heads * headDim, rows * kvHeads * headDim]
      const [to, query, keys] = [values(out, wide), values(q, wide), values(k, narrow)]
      const table = addressOf(cache)
      check(
        kernels.attention(to, query, keys, values(v, narrow), table, rows, heads, kvHeads, headDim, position),
      )
    },

    swiglu: (gate, up, n) => check(kernels.swiglu(values(gate, n), values(up, n), n)),

    checksum(bytes) {
      if (bytes.buffer !== arena.memory.buffer)
        throw new EngineError('bug', 'Bytes of another memory were given')
      return kernels.checksum(bytes.byteOffset, bytes.byteLength, 0) >>> 0
    },

    readThrough: (region) => check(kernels.readThrough(addressOf(region), region.byteLength)),

    close() {
      if (isClosed) return
      isClosed = true
      endThreads()
    },
  }

  function multiply(products: readonly Product[], x: Vector, rows: number): void {
    const cols = products[0]!.w.cols
    const buffer = activations.at(kernels.activationBytes(Math.min(rows, batchTokens), cols))
    kernels.beginProducts(values(x, rows * cols), rows, cols, buffer)
    for (const { out, w, bias, add } of products) {
      if (w.cols !== cols)
        throw new EngineError('bug', `Products of ${cols} and of ${w.cols} columns share no x`)
      kernels.addProduct(
        values(out, rows * w.rows),
        addressOf(w),
        weightTypes[w.type].id,
        w.rows,
        bias ? values(bias, w.rows) : 0,
        add ? 1 : 0,
      )
    }
    check(kernels.runProducts())
  }
}

function check(failed: Failed): void {
  if (failed) {
    throw new EngineError(
      'bug',
      'A thread of the engine stopped by a fault. Reload the page to start it again.',
    )
  }
}

function once(free: () => void): () => void {
  let isFreed = false
  return () => {
    if (!isFreed) free()
    isFreed = true
  }
}
