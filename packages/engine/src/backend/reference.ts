/**
 * The plain backend: every operation as the loops of its definition, to be read, to judge the fast one, and to run where
 * nothing faster can. It is never optimised.
 *
 * Weights stay as GGUF stores them and become f32 row by row when they are needed. Values rest in f32; a sum runs in
 * JavaScript's double precision and is rounded once.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { Packing } from '../gguf/packing.ts'
import { rowBytes } from '../gguf/quant.ts'
import type { Backend, KvCache, Matrix, RopePairs, Vector } from './backend.ts'
import { dequantize } from './dequant.ts'
import { createReferenceMemory, type ReferenceMemory } from './reference-memory.ts'

/** GGUF's own bytes, one row to a group. */
export const ggufPacking: Packing = {
  name: 'gguf',
  rowGroup: 1,
  groupBytes: rowBytes,
  packGroup(_type, _cols, _rows, source, out) {
    out.set(source)
  },
}

/** @param options.maxBytes refuses to hold more than this with EngineError 'out-of-memory'; unlimited by default */
export async function createReferenceBackend(options: { maxBytes?: number } = {}): Promise<Backend> {
  const memory = createReferenceMemory(options.maxBytes ?? Infinity)
  return {
    kind: 'reference',
    threads: 1,
    detail: 'plain TypeScript, one thread',
    packing: ggufPacking,
    memoryBytes: memory.bytes,
    reservedBytes: memory.bytes,
    region: memory.region,
    matrix: memory.matrix,
    vector: memory.vector,
    scratch: memory.scratch,
    kvCache: memory.kvCache,
    embed: (out, w, tokens) => embed(memory, out.values(), w, tokens),
    matmul(products, x, rows) {
      for (const { out, w, bias, add } of products) {
        matmul(memory, out.values(), x.values(), w, bias?.values() ?? null, add ?? false, rows)
      }
    },
    rmsNorm: (out, x, weight, rows, eps) => rmsNorm(out.values(), x.values(), weight.values(), rows, eps),
    rope: (x, inverseFrequencies, shape) => rope(x.values(), inverseFrequencies.values(), shape),
    attention: (out, q, k, v, cache, shape) => attention(memory, out, q, k, v, cache, shape),
    swiglu: (gate, up, n) => swiglu(gate.values(), up.values(), n),
    argmax: (x) => x.values().reduce((best, value, i, all) => (value > all[best]! ? i : best), 0),
    softmax: (x, temperature) =>
      x.values().set(softmax(Array.from(x.values(), (value) => value / temperature))),
    firstAtLeast: (x, least, from) => x.values().findIndex((value, i) => i >= from && value >= least),
    close: memory.close,
  }
}

/** Row `row` of W (rows, cols) → out (cols). */
function readRow(memory: ReferenceMemory, w: Matrix, row: number, out: Float32Array): void {
  const bytes = rowBytes(w.type, w.cols)
  dequantize(w.type, memory.bytesOf(w).subarray(row * bytes, (row + 1) * bytes), out)
}

// out (tokens, cols) = W[token]
function embed(memory: ReferenceMemory, out: Float32Array, w: Matrix, tokens: readonly number[]): void {
  for (const [i, token] of tokens.entries()) {
    readRow(memory, w, token, out.subarray(i * w.cols, (i + 1) * w.cols))
  }
}

// W (n, cols) · x (rows, cols) → out (rows, n)
function matmul(
  memory: ReferenceMemory,
  out: Float32Array,
  x: Float32Array,
  w: Matrix,
  bias: Float32Array | null, // (n)
  add: boolean,
  rows: number,
): void {
  const weights = new Float32Array(w.cols)
  for (let n = 0; n < w.rows; n++) {
    readRow(memory, w, n, weights)
    for (let row = 0; row < rows; row++) {
      let sum = bias?.[n] ?? 0
      for (let i = 0; i < w.cols; i++) sum += weights[i]! * x[row * w.cols + i]!
      out[row * w.rows + n] = add ? out[row * w.rows + n]! + sum : sum
    }
  }
}

// out (rows, dim) = x / √(mean(x²) + eps) · weight
function rmsNorm(out: Float32Array, x: Float32Array, weight: Float32Array, rows: number, eps: number): void {
  const dim = weight.length
  for (let row = 0; row < rows; row++) {
    let squares = 0
    for (let i = 0; i < dim; i++) squares += x[row * dim + i]! ** 2
    const scale = 1 / Math.sqrt(squares / dim + eps)
    for (let i = 0; i < dim; i++) out[row * dim + i] = x[row * dim + i]! * scale * weight[i]!
  }
}

// every pair (a, b) of a head turns by the angle position · θ_i
function rope(
  x: Float32Array, // (rows, heads, headDim)
  inverseFrequencies: Float32Array, // θ (headDim / 2)
  shape: { rows: number; heads: number; headDim: number; position: number; pairs: RopePairs },
): void {
  const { rows, heads, headDim, position, pairs } = shape
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < heads; head++) {
      const start = (row * heads + head) * headDim
      for (let i = 0; i < headDim / 2; i++) {
        const angle = (position + row) * inverseFrequencies[i]!
        const at = start + (pairs === 'adjacent' ? 2 * i : i)
        const bt = start + (pairs === 'adjacent' ? 2 * i + 1 : i + headDim / 2)
        const a = x[at]!
        const b = x[bt]!
        x[at] = a * Math.cos(angle) - b * Math.sin(angle)
        x[bt] = a * Math.sin(angle) + b * Math.cos(angle)
      }
    }
  }
}

// out (queries, heads, headDim): each of the last rows attends to the positions up to its own
function attention(
  memory: ReferenceMemory,
  out: Vector,
  q: Vector, // (queries, heads, headDim)
  k: Vector, // (rows, kvHeads, headDim)
  v: Vector, // (rows, kvHeads, headDim)
  cache: KvCache,
  shape: { rows: number; heads: number; position: number; queries?: number },
): void {
  const { rows, heads, position, queries = rows } = shape
  const { kvHeads, headDim } = cache
  const kvDim = kvHeads * headDim
  if (position + rows > cache.capacity) {
    throw new EngineError('bug', `Position ${position + rows - 1} is beyond the ${cache.capacity} reserved`)
  }
  const { keys, values } = memory.keysAndValues(cache) // (capacity, kvDim) each
  keys.set(k.values().subarray(0, rows * kvDim), position * kvDim)
  values.set(v.values().subarray(0, rows * kvDim), position * kvDim)

  const sees = position + rows - queries + 1 // of the first query
  for (let row = 0; row < queries; row++) {
    for (let head = 0; head < heads; head++) {
      const kvAt = Math.floor((head * kvHeads) / heads) * headDim
      const at = (row * heads + head) * headDim
      const query = q.values().subarray(at, at + headDim)
      const scores: number[] = []
      for (let p = 0; p < sees + row; p++) {
        let dot = 0
        for (let i = 0; i < headDim; i++) dot += query[i]! * keys[p * kvDim + kvAt + i]!
        scores.push(dot / Math.sqrt(headDim))
      }
      const weights = softmax(scores)
      for (let i = 0; i < headDim; i++) {
        let sum = 0
        for (const [p, weight] of weights.entries()) sum += weight * values[p * kvDim + kvAt + i]!
        out.values()[at + i] = sum
      }
    }
  }
}

function softmax(scores: readonly number[]): number[] {
  // The largest score is taken off first, so that no exponential overflows.
  const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity)
  const powers = scores.map((score) => Math.exp(score - largest))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((power) => power / sum)
}

// gate (n) = silu(gate) · up, with silu(x) = x / (1 + e^−x)
function swiglu(gate: Float32Array, up: Float32Array, n: number): void {
  for (let i = 0; i < n; i++) gate[i] = (gate[i]! / (1 + Math.exp(-gate[i]!))) * up[i]!
}
