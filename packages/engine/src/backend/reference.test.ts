import { describe, expect, test } from 'vitest'
import { quantize } from '../testing/random-blocks.ts'
import type { Vector } from './backend.ts'
import { backendMemory } from './backend.contract.ts'
import { createReferenceBackend } from './reference.ts'

const backend = await createReferenceBackend()

function vector(values: number[]): Vector {
  const made = backend.scratch(values.length)
  made.values().set(values)
  return made
}

/** W as F32, row after row. */
function matrix(rows: number[][]) {
  const cols = rows[0]!.length
  const bytes = quantize('F32', Float32Array.from(rows.flat()))
  const region = backend.region(bytes.byteLength)
  region.bytes().set(bytes)
  return backend.matrix(region, 0, 'F32', rows.length, cols)
}

function expectClose(got: Vector, want: number[]): void {
  expect(got.length).toBe(want.length)
  for (const [i, value] of want.entries()) expect(got.values()[i]).toBeCloseTo(value, 5)
}

backendMemory('reference', () => createReferenceBackend())

describe('the reference gives what was worked out by hand', () => {
  test('embed: the rows that the tokens name', () => {
    const w = matrix([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
    const out = vector([0, 0, 0, 0])
    backend.embed(out, w, [2, 0])
    expectClose(out, [5, 6, 1, 2])
  })

  test('matmul: every row of x with every row of W, plus bias', () => {
    const w = matrix([
      [1, 2, 3],
      [-1, 0, 1],
    ])
    const x = vector([1, 1, 1, 2, 0, -1])
    const out = vector([9, 9, 9, 9])
    backend.matmul([{ out, w, bias: vector([10, 20]) }], x, 2)
    expectClose(out, [16, 20, 9, 17])
    backend.matmul([{ out, w, add: true }], x, 2)
    expectClose(out, [22, 20, 8, 14])
  })

  test('matmul of several products: each gets its own answer from the same x', () => {
    const x = vector([2, 3])
    const [a, b] = [vector([0]), vector([0, 0])]
    const products = [
      { out: a, w: matrix([[1, 1]]) },
      {
        out: b,
        w: matrix([
          [1, 0],
          [0, -1],
        ]),
      },
    ]
    backend.matmul(products, x, 1)
    expectClose(a, [5])
    expectClose(b, [2, -3])
  })

  test('rmsNorm: each row over its root mean square', () => {
    const x = vector([3, 4, 0, 0, 1, 1, 1, 1])
    // rms of the first row √(25 / 4) = 2.5, of the second 1
    backend.rmsNorm(x, x, vector([1, 2, 3, 4]), 2, 0)
    expectClose(x, [1.2, 3.2, 0, 0, 1, 2, 3, 4])
  })

  test('rmsNorm: eps counts beside the mean square', () => {
    const out = vector([0])
    backend.rmsNorm(out, vector([3]), vector([1]), 1, 16)
    expectClose(out, [3 / 5])
  })

  test('rope: a quarter turn of neighbours, and of halves', () => {
    const frequencies = vector([Math.PI / 4, Math.PI / 2])
    const shape = { rows: 1, heads: 1, headDim: 4, position: 2 }
    const adjacent = vector([1, 0, 5, 7])
    backend.rope(adjacent, frequencies, { ...shape, pairs: 'adjacent' })
    expectClose(adjacent, [0, 1, -5, -7])
    const halves = vector([1, 5, 0, 7])
    backend.rope(halves, frequencies, { ...shape, pairs: 'halves' })
    expectClose(halves, [0, -5, 1, -7])
  })

  test('rope: the next row stands at the next position, every head turns alike', () => {
    const x = vector([1, 0, 1, 0, 1, 0, 1, 0])
    backend.rope(x, vector([Math.PI / 2]), { rows: 2, heads: 2, headDim: 2, position: 1, pairs: 'adjacent' })
    expectClose(x, [0, 1, 0, 1, -1, 0, -1, 0])
  })

  test('attention: weights are the softmax of q · k / √headDim, over positions up to the row', () => {
    const cache = backend.kvCache(1, 4)
    cache.reserve(2)
    const q = vector([2, 0, 0, 0, 2, 0, 0, 0])
    // scores of the second row: 2·0/2 = 0 and 2·ln 3/2 = ln 3, so weights 1/4 and 3/4
    const k = vector([0, 9, 9, 9, Math.log(3), 0, 0, 0])
    const v = vector([4, 0, 8, 0, 0, 4, 8, 1])
    const out = vector([0, 0, 0, 0, 0, 0, 0, 0])
    backend.attention(out, q, k, v, cache, { rows: 2, heads: 1, position: 0 })
    expectClose(out, [4, 0, 8, 0, 1, 3, 8, 0.75])
  })

  test('attention: query heads share KV heads in order', () => {
    const cache = backend.kvCache(2, 1)
    cache.reserve(1)
    const out = vector([0, 0, 0, 0])
    const ones = vector([1, 1, 1, 1])
    backend.attention(out, ones, vector([1, 1]), vector([5, 7]), cache, { rows: 1, heads: 4, position: 0 })
    expectClose(out, [5, 5, 7, 7])
  })

  test('attention at an earlier position sees nothing that was stored later', () => {
    const cache = backend.kvCache(1, 1)
    cache.reserve(3)
    const out = vector([0, 0, 0])
    const ones = vector([1, 1, 1])
    backend.attention(out, ones, ones, vector([6, 600, 600]), cache, { rows: 3, heads: 1, position: 0 })
    backend.attention(out, ones, ones, vector([2]), cache, { rows: 1, heads: 1, position: 1 })
    expect(out.values()[0]).toBeCloseTo(4, 5)
  })

  test('swiglu: silu of the gate times up', () => {
    const gate = vector([0, Math.log(3), -Math.log(3)])
    backend.swiglu(gate, vector([5, 2, 2]), 3)
    expectClose(gate, [0, Math.log(3) * 0.75 * 2, -Math.log(3) * 0.25 * 2])
  })
})

test('a position that was not reserved is a bug, and says which', () => {
  const cache = backend.kvCache(1, 1)
  cache.reserve(64)
  const one = vector([1])
  expect(() => backend.attention(one, one, one, one, cache, { rows: 1, heads: 1, position: 64 })).toThrow(
    'Position 64 is beyond the 64 reserved',
  )
})

test('a budget is kept: what goes beyond is refused, with the numbers', async () => {
  const small = await createReferenceBackend({ maxBytes: 3 * 2 ** 20 })
  const first = small.region(2 * 2 ** 20)
  expect(() => small.scratch(2 ** 19)).toThrow('2.0 MiB of memory beside the 2.0 MiB in use')
  first.free()
  expect(small.scratch(2 ** 19).length).toBe(2 ** 19)
})
