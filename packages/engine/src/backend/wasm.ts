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
import type { Arena } from './wasm-arena.ts'
import { createArenas, type Arenas, type Place } from './wasm-arenas.ts'
import { behind, createHandles } from './wasm-handles.ts'
import type { WasmHost } from './wasm-host.ts'
import {
  batchTokens,
  chooseArithmetic,
  maxHeadDim,
  maxProducts,
  sayArithmetic,
  type Arithmetic,
  type Failed,
  type Kernels,
} from './wasm-kernels.ts'
import { createKvCache } from './wasm-kv-cache.ts'
import { wasmPacking } from './wasm-packing.ts'
import { createRopeTurns } from './wasm-rope-turns.ts'
import { createThreads, type Threads } from './wasm-threads.ts'
import { createWorkplace, type Workplace } from './wasm-workplace.ts'

export type WasmBackendOptions = {
  /** The caller's included. One if the page cannot share memory. */
  threads: number
  /** The most that {@link WasmBackend.setThreads} may ask for; `threads` by default. */
  maxThreads?: number
  /** What weights, caches and scratch may take together; as much as the machine gives, by default. */
  maxBytes?: number
  /** Instead of the one that suits the machine: for tests and benches. */
  arithmetic?: Arithmetic
  /** What one memory may span, 4 GiB by default: for tests, where several must do with less. */
  arenaBytes?: number
}

export type WasmBackend = Backend & {
  /**
   * From now on with so many threads, or as many as the machine grants; without shared memory with one.
   *
   * @throws EngineError 'out-of-memory', and nothing changed
   */
  setThreads(count: number): Promise<void>
  /** XXH32 of bytes in this backend's memory: a region's, say. */
  checksum(bytes: Uint8Array): number
  /** Reads a region as products do, and does nothing with it: what memory gives, for benches to divide by. */
  readThrough(region: Region): void
}

/** @throws EngineError 'out-of-memory' when not even a small memory can be had */
export async function createWasmBackend(host: WasmHost, options: WasmBackendOptions): Promise<WasmBackend> {
  const { maxBytes = Infinity, arenaBytes = 2 ** 32, arithmetic = chooseArithmetic() } = options
  const shared = host.sharedMemory && (options.maxThreads ?? options.threads) > 1
  const module = await host.compile(shared ? `${arithmetic}-threads` : arithmetic)
  const arenas = createArenas({ module, shared, maxBytes, arenaBytes })
  const threads = shared ? createThreads(host, module, arenas) : null
  await threads?.setCount(options.threads)
  return backendOf(arenas, threads, sayArithmetic[arithmetic])
}

function backendOf(arenas: Arenas, threads: Threads | null, arithmetic: string): WasmBackend {
  const { first } = arenas
  const { put, placeOf, valuesOf, inRegion } = createHandles()
  const workplaces = new Map<Arena, Workplace>()
  const turns = createRopeTurns(first)
  let isClosed = false

  /** Runs an operation in `arena`. */
  function run(arena: Arena, operate: (workplace: Workplace) => Failed | void): void {
    const workplace = workplaces.get(arena) ?? createWorkplace(arena)
    workplaces.set(arena, workplace)
    workplace.clear()
    if (operate(workplace) === 1) {
      throw new EngineError(
        'bug',
        'A thread of the engine stopped by a fault. Reload the page to start it again.',
      )
    }
    workplace.deliver()
  }

  /** Runs what a single thread does with the values of a vector, where they lie. */
  function inPlaceOf<T>(x: Vector, operate: (kernels: Kernels, at: number) => T): T {
    const { arena, address } = valuesOf(x, x.length)
    return operate(arena.kernels, address)
  }

  const vectorAt = (place: Place, length: number): Vector =>
    put({ length, values: () => place.arena.floats(place.address, length) }, place)

  return {
    kind: 'wasm',
    get detail() {
      const count = threads?.count() ?? 1
      return `WASM, ${arithmetic}, ${count === 1 ? 'one thread' : `${count} threads`}`
    },
    get threads() {
      return threads?.count() ?? 1
    },
    setThreads: async (count) => threads?.setCount(count),
    packing: wasmPacking,
    memoryBytes: () => (isClosed ? 0 : arenas.used()),
    reservedBytes: () => (isClosed ? 0 : arenas.all.reduce((sum, arena) => sum + arena.reached(), 0)),

    region(byteLength) {
      const place = arenas.allocateWeights(byteLength)
      const bytes = () => place.arena.bytes(place.address, byteLength)
      return put({ byteLength, bytes, free: freeing(place) }, place)
    },

    matrix(region, offset, type, rows, cols) {
      const groups = Math.ceil(rows / wasmPacking.rowGroup)
      const place = inRegion(region, offset, groups * wasmPacking.groupBytes(type, cols))
      return put({ type, rows, cols }, place)
    },

    vector: (region, offset, length) => vectorAt(inRegion(region, offset, length * 4), length),

    scratch(length) {
      const place = arenas.allocate(length * 4)
      place.arena.floats(place.address, length).fill(0)
      return Object.assign(vectorAt(place, length), { free: freeing(place) })
    },

    kvCache(kvHeads, headDim) {
      if (headDim > maxHeadDim) {
        throw new EngineError(
          'unsupported-model',
          `This model's attention heads are ${headDim} wide; the engine runs heads of up to ${maxHeadDim}. Choose another model.`,
        )
      }
      return createKvCache(arenas, kvHeads, headDim, put)
    },

    embed(out, w, tokens) {
      const to = valuesOf(out, tokens.length * w.cols)
      const unknown = tokens.find((token) => token < 0 || token >= w.rows)
      if (unknown !== undefined) throw new EngineError('bug', `Token ${unknown} is not one of ${w.rows}`)
      const { arena, address } = placeOf(w)
      run(arena, ({ kernels, output }) => {
        const at = output(to, tokens.length * w.cols)
        for (const [i, token] of tokens.entries()) {
          kernels.unpackRow(at + i * w.cols * 4, address, weightTypes[w.type].id, token, w.cols)
        }
      })
    },

    matmul(products, x, rows) {
      for (const list of listsOf(products, ({ w }) => placeOf(w).arena)) {
        for (let row = 0; row < rows; row += batchTokens) {
          multiply(list, x, row, Math.min(batchTokens, rows - row))
        }
      }
    },

    rmsNorm(out, x, weight, rows, eps) {
      const length = rows * weight.length
      const [to, from, factors] = [valuesOf(out, length), valuesOf(x, length), placeOf(weight)]
      run(first, ({ kernels, input, output }) => {
        const [read, weights] = [input(from, length), input(factors, weight.length)]
        return kernels.rmsNorm(output(to, length), read, weights, rows, weight.length, eps)
      })
    },

    rope(x, inverseFrequencies, { rows, heads, headDim, position, pairs }) {
      const length = rows * heads * headDim
      const place = valuesOf(x, length)
      run(first, ({ kernels, output }) => {
        const table = turns.at(inverseFrequencies, position, rows)
        const adjacent = pairs === 'adjacent' ? 1 : 0
        return kernels.rope(output(place, length, true), table, rows, heads, headDim, adjacent)
      })
    },

    attention(out, q, k, v, cache, { rows, heads, position, queries = rows }) {
      const { kvHeads, headDim } = cache
      if (position + rows > cache.capacity) {
        throw new EngineError(
          'bug',
          `Position ${position + rows - 1} is beyond the ${cache.capacity} reserved`,
        )
      }
      const [wide, narrow] = [queries * heads * headDim, rows * kvHeads * headDim]
      const [to, query] = [valuesOf(out, wide), valuesOf(q, wide)]
      const [key, value] = [valuesOf(k, narrow), valuesOf(v, narrow)]
      const { arena, address } = placeOf(cache)
      run(arena, ({ kernels, input, output }) => {
        const [qs, ks, vs] = [input(query, wide), input(key, narrow), input(value, narrow)]
        const at = output(to, wide)
        return kernels.attention(at, qs, ks, vs, address, rows, queries, heads, kvHeads, headDim, position)
      })
    },

    swiglu(gate, up, n) {
      const [place, factors] = [valuesOf(gate, n), valuesOf(up, n)]
      run(first, ({ kernels, input, output }) => kernels.swiglu(output(place, n, true), input(factors, n), n))
    },

    argmax: (x) => inPlaceOf(x, (kernels, at) => kernels.argmax(at, x.length)),

    softmax(x, temperature) {
      // Smaller ones are no f32.
      const least = 1e-30
      inPlaceOf(x, (kernels, at) => kernels.softmax(at, x.length, Math.max(temperature, least)))
    },

    firstAtLeast: (x, least, from) =>
      inPlaceOf(x, (kernels, at) => kernels.firstAtLeast(at, x.length, least, from)),

    checksum(bytes) {
      const arena = arenas.all.find(({ memory }) => memory.buffer === bytes.buffer)
      if (!arena) throw new EngineError('bug', 'Bytes of another memory were given')
      return arena.kernels.checksum(bytes.byteOffset, bytes.byteLength, 0) >>> 0
    },

    readThrough(region) {
      const { arena, address } = placeOf(region)
      run(arena, ({ kernels }) => kernels.readThrough(address, region.byteLength))
    },

    close() {
      if (isClosed) return
      isClosed = true
      threads?.close()
    },
  }

  /** `rows` rows of x, from `row` on. All weights lie in one arena. */
  function multiply(products: readonly Product[], x: Vector, row: number, rows: number): void {
    const { cols } = products[0]!.w
    const from = behind(valuesOf(x, (row + rows) * cols), row * cols * 4)
    run(placeOf(products[0]!.w).arena, ({ kernels, activations, input, output }) => {
      const buffer = activations.at(kernels.activationBytes(rows, cols))
      kernels.beginProducts(input(from, rows * cols), rows, cols, buffer)
      for (const { out, w, bias, add = false } of products) {
        if (w.cols !== cols)
          throw new EngineError('bug', `Products of ${cols} and of ${w.cols} columns share no x`)
        const to = behind(valuesOf(out, (row + rows) * w.rows), row * w.rows * 4)
        const at = output(to, rows * w.rows, add)
        const biasAt = bias ? input(valuesOf(bias, w.rows), w.rows) : 0
        kernels.addProduct(at, placeOf(w).address, weightTypes[w.type].id, w.rows, biasAt, add ? 1 : 0)
      }
      return kernels.runProducts()
    })
  }
}

/** Products in lists as the kernels take them: not too many at once, all weights in one arena. */
function* listsOf(products: readonly Product[], arenaOf: (product: Product) => Arena): Generator<Product[]> {
  let list: Product[] = []
  for (const product of products) {
    const [head] = list
    if (head && (list.length === maxProducts || arenaOf(head) !== arenaOf(product))) {
      yield list
      list = []
    }
    list.push(product)
  }
  if (list.length > 0) yield list
}

function freeing({ arena, address }: Place): () => void {
  let isFreed = false
  return () => {
    if (!isFreed) arena.free(address)
    isFreed = true
  }
}
