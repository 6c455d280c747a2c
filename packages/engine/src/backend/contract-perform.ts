/**
 * Performs one case of the contract on any backend, with inputs that depend on the case alone.
 *
 * @module
 */
import { rowBytes, type WeightType } from '../gguf/quant.ts'
import { levelBlocks, randomBlocks, randomNumbers } from '../testing/random-blocks.ts'
import type { Backend, Matrix, Region, Vector } from './backend.ts'
import type {
  AttentionCase,
  Case,
  EmbedCase,
  MatmulCase,
  NormCase,
  RopeCase,
  SearchCase,
  SoftmaxCase,
  SwigluCase,
} from './contract-cases.ts'

/** Rows of the embedding that cases draw tokens from. */
const vocabulary = 37

/** All values that the case computes, copied out; whatever it allocated is freed. */
export function perform(backend: Backend, testCase: Case): Float32Array {
  const bench = createBench(backend)
  try {
    switch (testCase.op) {
      case 'matmul':
        return matmul(bench, testCase)
      case 'embed':
        return embed(bench, testCase)
      case 'rmsNorm':
        return rmsNorm(bench, testCase)
      case 'rope':
        return rope(bench, testCase)
      case 'attention':
        return attention(bench, testCase)
      case 'swiglu':
        return swiglu(bench, testCase)
      case 'softmax':
        return softmax(bench, testCase)
      case 'argmax':
      case 'firstAtLeast':
        return search(bench, testCase)
    }
  } finally {
    bench.free()
  }
}

/** A place to lay inputs on; each gets its own seed, in the order they are asked for. */
export type Bench = ReturnType<typeof createBench>

export function createBench(backend: Backend) {
  let seed = 0
  const freeable: { free(): void }[] = []
  const keep = <T extends { free(): void }>(thing: T): T => {
    freeable.push(thing)
    return thing
  }
  return {
    backend,
    /** Random weights W (rows, cols), packed as the backend wants them, unless others are given. */
    matrix(type: WeightType, rows: number, cols: number, blocks?: Uint8Array): Matrix {
      const region = keep(backend.region(packedBytes(backend, type, rows, cols)))
      pack(backend, region, type, rows, cols, blocks ?? blocksOf(++seed, type, rows, cols))
      return backend.matrix(region, 0, type, rows, cols)
    },
    /** Random f32 values in a region, behind 64 bytes of something else. */
    weights(length: number): Vector {
      const region = keep(backend.region(64 + length * 4))
      region.bytes().set(new Uint8Array(randomNumbers(++seed, length).buffer), 64)
      return backend.vector(region, 64, length)
    },
    /** Random f32 values in scratch. */
    values(length: number): Vector {
      const vector = keep(backend.scratch(length))
      vector.values().set(randomNumbers(++seed, length))
      return vector
    },
    zeros: (length: number): Vector => keep(backend.scratch(length)),
    kvCache: (kvHeads: number, headDim: number) => keep(backend.kvCache(kvHeads, headDim)),
    free: () => freeable.forEach((thing) => thing.free()),
  }
}

/** Random blocks take far longer to make than to multiply: made once for all implementations under test. */
const made = new Map<string, Uint8Array>()

function blocksOf(seed: number, type: WeightType, rows: number, cols: number): Uint8Array {
  const key = `${seed} ${type} ${rows} ${cols}`
  const blocks = made.get(key) ?? randomBlocks(seed, type, rows, cols)
  made.set(key, blocks)
  return blocks
}

function packedBytes({ packing }: Backend, type: WeightType, rows: number, cols: number): number {
  return Math.ceil(rows / packing.rowGroup) * packing.groupBytes(type, cols)
}

function pack(
  { packing }: Backend,
  region: Region,
  type: WeightType,
  rows: number,
  cols: number,
  source: Uint8Array,
): void {
  const groupBytes = packing.groupBytes(type, cols)
  const sourceRow = rowBytes(type, cols)
  for (let row = 0, group = 0; row < rows; row += packing.rowGroup, group++) {
    const count = Math.min(packing.rowGroup, rows - row)
    const from = source.subarray(row * sourceRow, (row + count) * sourceRow)
    const to = region.bytes().subarray(group * groupBytes, (group + 1) * groupBytes)
    packing.packGroup(type, cols, count, from, to)
  }
}

function matmul(bench: Bench, { types, cols, outs, rows, level, bias, add }: MatmulCase): Float32Array {
  const x = bench.values(rows * cols)
  if (level) x.values().forEach((_, i, all) => (all[i] = Math.floor(i / cols) % 2 ? 1 : -1))
  const products = outs.map((out, i) => ({
    out: add ? bench.values(rows * out) : bench.zeros(rows * out),
    w: bench.matrix(
      types[i % types.length]!,
      out,
      cols,
      level && levelBlocks(types[i % types.length]!, out, cols),
    ),
    ...(bias && { bias: bench.weights(out) }),
    ...(add && { add }),
  }))
  bench.backend.matmul(products, x, rows)
  return concat(products.map(({ out }) => out.values()))
}

function embed(bench: Bench, { type, cols, tokens }: EmbedCase): Float32Array {
  const out = bench.zeros(tokens.length * cols)
  bench.backend.embed(out, bench.matrix(type, vocabulary, cols), tokens)
  return out.values().slice()
}

function rmsNorm(bench: Bench, { dim, rows, inPlace }: NormCase): Float32Array {
  const x = bench.values(rows * dim)
  const out = inPlace ? x : bench.zeros(rows * dim)
  bench.backend.rmsNorm(out, x, bench.weights(dim), rows, 0.01)
  return out.values().slice()
}

function rope(bench: Bench, { pairs, heads, headDim, rows, position }: RopeCase): Float32Array {
  const x = bench.values(rows * heads * headDim)
  const frequencies = bench.zeros(headDim / 2)
  frequencies.values().set(Array.from({ length: headDim / 2 }, (_, i) => 10_000 ** ((-2 * i) / headDim)))
  bench.backend.rope(x, frequencies, { rows, heads, headDim, position, pairs })
  return x.values().slice()
}

function attention(bench: Bench, { heads, kvHeads, headDim, steps }: AttentionCase): Float32Array {
  const { backend } = bench
  const cache = bench.kvCache(kvHeads, headDim)
  const outs = steps.map(({ position, rows, queries = rows }) => {
    const q = bench.values(queries * heads * headDim)
    const k = bench.values(rows * kvHeads * headDim)
    const v = bench.values(rows * kvHeads * headDim)
    const out = bench.zeros(queries * heads * headDim)
    cache.reserve(position + rows)
    backend.attention(out, q, k, v, cache, { rows, heads, position, queries })
    return out.values().slice()
  })
  return concat(outs)
}

function swiglu(bench: Bench, { n }: SwigluCase): Float32Array {
  const gate = bench.values(n)
  bench.backend.swiglu(gate, bench.values(n), n)
  return gate.values().slice()
}

function softmax(bench: Bench, { n, temperature }: SoftmaxCase): Float32Array {
  const logits = bench.values(n)
  bench.backend.softmax(logits, temperature)
  return logits.values().slice()
}

/** Numbers found, in values so rounded that many are equal. */
function search({ backend, values }: Bench, { op, n }: SearchCase): Float32Array {
  const x = values(n)
  x.values().set(x.values().map((value) => Math.round(value * 2) / 2))
  if (op === 'argmax') return Float32Array.of(backend.argmax(x))
  const found: number[] = []
  for (let at = backend.firstAtLeast(x, 1, 0); at >= 0; at = backend.firstAtLeast(x, 1, at + 1))
    found.push(at)
  return Float32Array.from(found)
}

function concat(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
