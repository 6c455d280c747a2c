/**
 * What the reference backend holds: weights, scratch and KV caches in ordinary arrays, counted.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { rowBytes } from '../gguf/quant.ts'
import type { Backend, KvCache, Matrix, Vector } from './backend.ts'

/** Positions by which a KV cache grows. */
const pagePositions = 64

/** K and V of one cache, (capacity, kvHeads · headDim) each. */
type KeysAndValues = { keys: Float32Array; values: Float32Array }

export type ReferenceMemory = Pick<
  Backend,
  'region' | 'matrix' | 'vector' | 'scratch' | 'kvCache' | 'close'
> & {
  /** Bytes held now. */
  bytes(): number
  /** The bytes behind a matrix of this backend. */
  bytesOf(matrix: Matrix): Uint8Array
  keysAndValues(cache: KvCache): KeysAndValues
}

export function createReferenceMemory(maxBytes: number): ReferenceMemory {
  let held = 0
  let isClosed = false
  const regions = new WeakMap<object, Uint8Array>()
  const matrices = new WeakMap<Matrix, Uint8Array>()
  const caches = new WeakMap<KvCache, KeysAndValues>()

  /** @throws EngineError 'out-of-memory', holding nothing more than before */
  function allocate(byteLength: number): ArrayBuffer {
    if (held + byteLength > maxBytes) throw outOfMemory(byteLength, held)
    try {
      const buffer = new ArrayBuffer(byteLength)
      held += byteLength
      return buffer
    } catch (cause) {
      throw outOfMemory(byteLength, held, cause)
    }
  }

  /** Gives `byteLength` back the first time it is called. */
  function freeOnce(byteLength: number): () => void {
    let rest = byteLength
    return () => {
      held -= rest
      rest = 0
    }
  }

  const bytesAt = (region: object, offset: number, byteLength: number): Uint8Array => {
    const bytes = lookUp(regions, region).subarray(offset, offset + byteLength)
    if (bytes.byteLength < byteLength) {
      throw new EngineError('bug', `A tensor of ${byteLength} bytes at ${offset} does not fit in its region`)
    }
    return bytes
  }

  return {
    bytes: () => (isClosed ? 0 : held),
    bytesOf: (matrix) => lookUp(matrices, matrix),
    keysAndValues: (cache) => lookUp(caches, cache),

    region(byteLength) {
      const bytes = new Uint8Array(allocate(byteLength))
      const region = { byteLength, bytes: () => bytes, free: freeOnce(byteLength) }
      regions.set(region, bytes)
      return region
    },

    matrix(region, offset, type, rows, cols) {
      const matrix = { type, rows, cols }
      matrices.set(matrix, bytesAt(region, offset, rows * rowBytes(type, cols)))
      return matrix
    },

    vector(region, offset, length) {
      const bytes = bytesAt(region, offset, length * 4)
      return vectorOf(new Float32Array(bytes.buffer, bytes.byteOffset, length))
    },

    scratch(length) {
      const values = new Float32Array(allocate(length * 4))
      return { ...vectorOf(values), free: freeOnce(values.byteLength) }
    },

    kvCache(kvHeads, headDim) {
      let capacity = 0
      const positionBytes = 2 * kvHeads * headDim * 4
      const cache: KvCache = {
        kvHeads,
        headDim,
        get capacity() {
          return capacity
        },
        get byteLength() {
          return capacity * positionBytes
        },
        bytesFor: (positions) => Math.ceil(positions / pagePositions) * pagePositions * positionBytes,
        reserve(positions) {
          if (positions <= capacity) return
          const pages = Math.ceil(positions / pagePositions)
          const grown = new Float32Array(allocate(pages * pagePositions * positionBytes))
          const { keys, values } = lookUp(caches, cache)
          const wider = {
            keys: grown.subarray(0, grown.length / 2),
            values: grown.subarray(grown.length / 2),
          }
          wider.keys.set(keys)
          wider.values.set(values)
          caches.set(cache, wider)
          held -= capacity * positionBytes
          capacity = pages * pagePositions
        },
        free() {
          held -= capacity * positionBytes
          capacity = 0
          caches.set(cache, { keys: new Float32Array(0), values: new Float32Array(0) })
        },
      }
      caches.set(cache, { keys: new Float32Array(0), values: new Float32Array(0) })
      return cache
    },

    close() {
      isClosed = true
    },
  }
}

const vectorOf = (values: Float32Array): Vector => ({ length: values.length, values: () => values })

function lookUp<K extends object, V>(map: WeakMap<K, V>, key: K): V {
  const value = map.get(key)
  if (value === undefined)
    throw new EngineError('bug', 'A handle was given to a backend that did not make it')
  return value
}

function outOfMemory(byteLength: number, held: number, cause?: unknown): EngineError {
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
  return new EngineError(
    'out-of-memory',
    `This device could not find ${mib(byteLength)} of memory beside the ${mib(held)} in use. Close other tabs or programs, or let another device hold more of the model.`,
    { cause },
  )
}
