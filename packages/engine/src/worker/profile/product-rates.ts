/**
 * How fast weights of each type are multiplied: by one vector, as in decode, and by a chunk of rows, as in prefill.
 *
 * @module
 */
import type { BytesByType } from '@hearth/halda'
import type { Backend, Product, Region, Vector } from '../../backend/backend.ts'
import type { WeightType } from '../../gguf/quant.ts'
import { matricesOf, type LayerShape } from './layer-shape.ts'
import { steadyTimeMs } from './steady-time.ts'

/**
 * Twice the last-level cache that laptops have (8 to 32 MiB; phones 4 to 16): decode reads every weight from memory. A
 * model that is smaller is measured at its own size, since it lies in the cache when it runs, too.
 */
const mostVectorBytes = 64 * 2 ** 20
/** Prefill uses each weight for many rows: arithmetic bounds it, whatever the cache. */
const batchBytes = 2 * 2 ** 20
const batchRows = 32
/**
 * A device that takes so long to go through `batchBytes` once is bound by arithmetic in decode too, whatever the memory:
 * it is measured with less, and once, to be done in time.
 */
const slowPassMs = 4
/** Another program on the same core halves a rate for a while: the better of two moments stands. */
const sweeps = 2

export type ProductRates = {
  /** Stored bytes of W per second of y = W·x. */
  weightBytesPerSec: BytesByType
  /** The same times the rows of x. */
  prefillBytesPerSec: BytesByType
}

/** @param mostBytes of memory that it may take, or that the chosen model has weights; a little is taken whatever it says */
export async function measureProducts(
  backend: Backend,
  types: readonly WeightType[],
  shape: LayerShape,
  mostBytes = Infinity,
): Promise<ProductRates> {
  const [someType] = types
  if (someType === undefined) return { weightBytesPerSec: {}, prefillBytesPerSec: {} }
  const region = backend.region(aligned(Math.max(2 * batchBytes, Math.min(mostVectorBytes, mostBytes))))
  // Memory that was never written to may all be one page of zeros, and that lies in a cache.
  region.bytes().fill(0)
  const weightBytesPerSec: Record<string, number> = {}
  const prefillBytesPerSec: Record<string, number> = {}
  try {
    const isSlow =
      (batchBytes * 1000) / (await rate(backend, region, someType, shape, batchBytes, 1)) > slowPassMs
    const [decodeBytes, prefillBytes] = isSlow
      ? [batchBytes, batchBytes / batchRows]
      : [region.byteLength, batchBytes]
    for (let sweep = 0; sweep < (isSlow ? 1 : sweeps); sweep++) {
      for (const type of types) {
        const decode = await rate(backend, region, type, shape, decodeBytes, 1)
        const prefill = await rate(backend, region, type, shape, prefillBytes, batchRows)
        weightBytesPerSec[type] = Math.max(weightBytesPerSec[type] ?? 0, Math.round(decode))
        prefillBytesPerSec[type] = Math.max(prefillBytesPerSec[type] ?? 0, Math.round(prefill))
      }
    }
  } finally {
    region.free()
  }
  return { weightBytesPerSec, prefillBytesPerSec }
}

/** Stored bytes, times rows of x, per second: through as many layers as fit into `byteLength`, or as much of one. */
async function rate(
  backend: Backend,
  region: Region,
  type: WeightType,
  shape: LayerShape,
  byteLength: number,
  rowsOfX: number,
): Promise<number> {
  const made: { free(): void }[] = []
  const scratch = (length: number): Vector => {
    const vector = backend.scratch(length)
    made.push(vector)
    return vector
  }
  try {
    const inputs = new Map([shape.dim, shape.ffnDim].map((cols) => [cols, scratch(rowsOfX * cols)]))
    for (const x of inputs.values()) x.values().fill(1)
    const out = scratch(rowsOfX * Math.max(shape.dim, shape.kvDim, shape.ffnDim))
    const work: { product: Product[]; x: Vector }[] = []
    let readBytes = 0
    for (const { rows, cols, offset, bytes } of slices(backend, type, shape, byteLength)) {
      const w = backend.matrix(region, offset, type, rows, cols)
      work.push({ product: [{ out, w }], x: inputs.get(cols)! })
      readBytes += bytes
    }
    const ms = await steadyTimeMs(() => {
      for (const { product, x } of work) backend.matmul(product, x, rowsOfX)
    })
    return (readBytes * rowsOfX * 1000) / ms
  } finally {
    for (const vector of made) vector.free()
  }
}

type Slice = { rows: number; cols: number; offset: number; bytes: number }

/** The matrices of layer after layer, and what fits of the last; of a matrix larger than everything, one group. */
function slices({ packing }: Backend, type: WeightType, shape: LayerShape, byteLength: number): Slice[] {
  const found: Slice[] = []
  const matrices = matricesOf(shape)
  for (let offset = 0, i = 0; ; i++) {
    const [matrixRows, cols] = matrices[i % matrices.length]!
    const groupBytes = packing.groupBytes(type, cols)
    const fitting = Math.floor((byteLength - offset) / groupBytes)
    const groups = Math.min(Math.ceil(matrixRows / packing.rowGroup), Math.max(fitting, i === 0 ? 1 : 0))
    if (groups === 0) return found
    const bytes = groups * groupBytes
    found.push({ rows: groups * packing.rowGroup, cols, offset, bytes })
    offset += aligned(bytes)
  }
}

/** Matrices begin at multiples of 64. */
const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64
