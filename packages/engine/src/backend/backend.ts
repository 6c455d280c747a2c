/**
 * The seam between the forward pass and the CPU: weights in, vectors through, nothing allocated per token.
 *
 * Two implementations: `reference.ts`, plain loops in f32 and the judge of the other; `wasm.ts`, AssemblyScript
 * kernels with SIMD and threads. All operations are synchronous: the engine runs in a worker of its own.
 *
 * @module
 */
import type { Packing } from '../gguf/packing.ts'
import type { WeightType } from '../gguf/quant.ts'

/** Bytes in the backend's memory, for weights: filled by the store, freed as a whole. */
export interface Region {
  readonly byteLength: number
  /** A view to read into. Take it afresh after anything was allocated: memory may have grown and moved. */
  bytes(): Uint8Array
  free(): void
}

/** Weights W (rows, cols), packed, in a region. */
export interface Matrix {
  readonly type: WeightType
  readonly rows: number
  readonly cols: number
}

/** f32 values in the backend's memory: a norm's weights, a bias, or a scratch of hidden states. */
export interface Vector {
  readonly length: number
  /** A view of the values. Take it afresh after anything was allocated. */
  values(): Float32Array
}

/** K and V of one session in one layer; grows by pages, so that an empty session costs nothing. */
export interface KvCache {
  readonly kvHeads: number
  readonly headDim: number
  /** Positions allocated so far. */
  readonly capacity: number
  readonly byteLength: number
  /** What `byteLength` would be with room for so many positions. */
  bytesFor(positions: number): number
  /** @throws EngineError 'out-of-memory' when the cache cannot grow; what it holds stays valid. */
  reserve(positions: number): void
  free(): void
}

/** Which lanes of a head RoPE turns together: (2i, 2i+1), as Llama's GGUF files, or (i, i + headDim/2), as Qwen's. */
export type RopePairs = 'adjacent' | 'halves'

export interface Backend {
  readonly kind: 'reference' | 'wasm'
  /** The path chosen and why, for people: "WASM, relaxed SIMD, 2 threads". */
  readonly detail: string
  /** That share its work, the caller's included. */
  readonly threads: number
  readonly packing: Packing
  /** Bytes held now: weights, caches and scratch. */
  memoryBytes(): number
  /** Bytes taken from the machine: where memory cannot shrink, what was freed is still among them, and used again. */
  reservedBytes(): number

  /** @throws EngineError 'out-of-memory' */
  region(byteLength: number): Region
  /** The packed matrix at `offset` (a multiple of 64) of a region. */
  matrix(region: Region, offset: number, type: WeightType, rows: number, cols: number): Matrix
  /** F32 values at `offset` (a multiple of 64) of a region, stored as GGUF stores them. */
  vector(region: Region, offset: number, length: number): Vector
  /** Scratch for `length` f32 values, zeroed; the caller keeps and reuses it. @throws EngineError 'out-of-memory' */
  scratch(length: number): Vector & { free(): void }
  /** An empty cache. */
  kvCache(kvHeads: number, headDim: number): KvCache

  /** out (rows, w.cols) = the rows of W named by `tokens`, as f32. */
  embed(out: Vector, w: Matrix, tokens: readonly number[]): void
  /**
   * For every product: out (rows, w.rows) = x (rows, w.cols) · Wᵀ + bias. All products share x, so that x is
   * quantized once. `add: true` adds to what `out` holds (the residual) instead of replacing it.
   */
  matmul(products: readonly Product[], x: Vector, rows: number): void
  /** out (rows, dim) = x / rms(x) · weight, row by row; `out` may be x. */
  rmsNorm(out: Vector, x: Vector, weight: Vector, rows: number, eps: number): void
  /**
   * Turns every head of x (rows, heads · headDim) by its position, in place.
   *
   * @param inverseFrequencies (headDim / 2) θ_i of this model, any scaling already applied
   * @param position sequence position of the first row
   */
  rope(
    x: Vector,
    inverseFrequencies: Vector,
    shape: { rows: number; heads: number; headDim: number; position: number; pairs: RopePairs },
  ): void
  /**
   * Stores k and v (rows, kvHeads · headDim) at `position` and attends causally:
   * out (rows, heads · headDim) = softmax(q·kᵀ / √headDim) · v, with heads / kvHeads query heads sharing a KV head.
   * Positions up to position + rows must be reserved.
   *
   * @param shape.queries rows that attend, the last ones: q and out are of these alone; all unless given
   */
  attention(
    out: Vector,
    q: Vector,
    k: Vector,
    v: Vector,
    cache: KvCache,
    shape: { rows: number; heads: number; position: number; queries?: number },
  ): void
  /** gate (n) = silu(gate) · up, in place. */
  swiglu(gate: Vector, up: Vector, n: number): void
  /** The number of the largest of x, the first of equals. */
  argmax(x: Vector): number
  /** x = e^(x / temperature) over the sum of all, in place: logits become probabilities. */
  softmax(x: Vector, temperature: number): void
  /** The number of the first value of x, from number `from` on, that is `least` or more; -1 when there is none. */
  firstAtLeast(x: Vector, least: number, from: number): number
  /** Frees everything and ends the threads. */
  close(): void
}

/** One matrix product of {@link Backend.matmul}. */
export type Product = { out: Vector; w: Matrix; bias?: Vector; add?: boolean }
