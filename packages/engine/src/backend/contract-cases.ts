/**
 * What every backend must be able to do, as data: operation × weight type × shape, and how far from the reference the
 * answer may be.
 *
 * Bounds are NMSE (testing/nmse.ts). A loose one says why; the others leave room for f32 sums in another order.
 *
 * @module
 */
import { weightTypes, type WeightType } from '../gguf/quant.ts'
import type { RopePairs } from './backend.ts'

/** One or more products that share x (rows, cols); `outs` are the rows of each W. */
export type MatmulCase = {
  op: 'matmul'
  /** One type for all products, or one for each. */
  types: readonly WeightType[]
  cols: number
  outs: readonly number[]
  rows: number
  /** x and weights all but equal: no sum of integers can be larger. */
  level?: true
  bias?: true
  add?: true
}
export type EmbedCase = { op: 'embed'; type: WeightType; cols: number; tokens: readonly number[] }
export type NormCase = { op: 'rmsNorm'; dim: number; rows: number; inPlace?: true }
export type RopeCase = {
  op: 'rope'
  pairs: RopePairs
  heads: number
  headDim: number
  rows: number
  position: number
}
/** Steps run one after the other on one cache; the rows of all steps are compared. */
export type AttentionCase = {
  op: 'attention'
  heads: number
  kvHeads: number
  headDim: number
  steps: readonly { position: number; rows: number; queries?: number }[]
  what: string
}
export type SwigluCase = { op: 'swiglu'; n: number }
export type SoftmaxCase = { op: 'softmax'; n: number; temperature: number }
/** Where the largest value is, the first of equals; or where all are that are at least 1, from the first to the last. */
export type SearchCase = { op: 'argmax' | 'firstAtLeast'; n: number }

export type Case = (
  | MatmulCase
  | EmbedCase
  | NormCase
  | RopeCase
  | AttentionCase
  | SwigluCase
  | SoftmaxCase
  | SearchCase
) & {
  maxNmse: number
  /** Why the bound is not tighter. */
  because?: string
}

const allTypes: readonly WeightType[] = ['F32', 'F16', 'Q8_0', 'Q4_0', 'Q5_0', 'Q4_K', 'Q5_K', 'Q6_K']
const floats: readonly WeightType[] = ['F32', 'F16']

/** The bound of a product: quantized weights meet activations that were rounded to 8 bits in blocks. */
function matmulBound({ types, outs, rows }: Omit<MatmulCase, 'op'>): { maxNmse: number; because?: string } {
  const areFloats = types.every((type) => floats.includes(type))
  if (outs.length === 1 && outs[0] === 1 && rows === 1) {
    return { maxNmse: areFloats ? 1e-7 : 5e-3, because: 'one sum alone may nearly cancel' }
  }
  if (areFloats) return { maxNmse: 1e-10 }
  return { maxNmse: 2e-4, because: 'activations may be rounded to int8 in blocks, as ggml does' }
}

/** Widths that are whole blocks of the type, but not of more. */
const widths = (type: WeightType): readonly number[] => {
  const { weights } = weightTypes[type]
  if (weights === 1) return [1, 33, 256]
  return weights === 32 ? [32, 96, 1024] : [256, 768]
}

const matmul = (shape: Omit<MatmulCase, 'op'>): Case => ({
  op: 'matmul',
  ...shape,
  ...matmulBound(shape),
})

const rowCounts = [1, 2, 3, 4, 5, 6, 7, 8, 14, 17, 63, 64]

const matmulCases: Case[] = [
  ...allTypes.flatMap((type) => [
    // odd numbers of outputs: tails of row groups and uneven splits over threads
    ...widths(type).flatMap((cols) =>
      [1, 7, 66].map((out) => matmul({ types: [type], cols, outs: [out], rows: 1 })),
    ),
    ...rowCounts.map((rows) => matmul({ types: [type], cols: 512, outs: [37], rows })),
    matmul({ types: [type], cols: 2048, outs: [512], rows: 1 }),
    // a panel of the tiles and a part of one
    matmul({ types: [type], cols: 1280, outs: [37], rows: 14 }),
    matmul({ types: [type], cols: 512, outs: [33], rows: 3, bias: true }),
    matmul({ types: [type], cols: 512, outs: [33], rows: 1, bias: true, add: true }),
    matmul({ types: [type], cols: 256, outs: [64], rows: 9, add: true }),
    matmul({ types: [type], cols: 1024, outs: [37], rows: 14, level: true }),
    // q, k and v of a GQA model
    matmul({ types: [type], cols: 256, outs: [256, 64, 64], rows: 1, bias: true }),
    matmul({ types: [type], cols: 256, outs: [256, 64, 64], rows: 5 }),
  ]),
  // as llama.cpp's _M recipes mix them
  matmul({ types: ['Q4_K', 'Q4_K', 'Q6_K'], cols: 512, outs: [128, 32, 32], rows: 1 }),
  matmul({ types: ['Q4_K', 'Q4_K', 'Q6_K'], cols: 512, outs: [128, 32, 32], rows: 17 }),
  matmul({ types: ['Q5_K', 'Q5_K', 'Q6_K'], cols: 512, outs: [128, 32, 32], rows: 17 }),
  matmul({ types: ['F16', 'Q8_0', 'Q4_0'], cols: 512, outs: [10, 20, 30], rows: 2 }),
  // an odd number of blocks, in one panel and in the second one
  matmul({ types: ['Q5_0', 'Q5_0', 'Q8_0'], cols: 96, outs: [24, 8, 8], rows: 17 }),
  matmul({ types: ['Q4_0', 'Q5_0', 'Q8_0'], cols: 1120, outs: [24, 8, 8], rows: 17 }),
]

const embedCases: Case[] = allTypes.map((type) => ({
  op: 'embed',
  type,
  cols: 512,
  // first and last row, one twice, not in order
  tokens: [36, 0, 5, 5, 17],
  maxNmse: 1e-12,
}))

const normCases: Case[] = [
  { op: 'rmsNorm', dim: 256, rows: 1, maxNmse: 1e-10 },
  { op: 'rmsNorm', dim: 2048, rows: 17, inPlace: true, maxNmse: 1e-10 },
  { op: 'rmsNorm', dim: 35, rows: 3, maxNmse: 1e-10 },
]

const ropeCases: Case[] = (['adjacent', 'halves'] as const).flatMap((pairs): Case[] => [
  { op: 'rope', pairs, heads: 8, headDim: 32, rows: 1, position: 0, maxNmse: 1e-10 },
  { op: 'rope', pairs, heads: 2, headDim: 64, rows: 64, position: 3, maxNmse: 1e-10 },
  { op: 'rope', pairs, heads: 3, headDim: 10, rows: 5, position: 77, maxNmse: 1e-10 },
  {
    op: 'rope',
    pairs,
    heads: 4,
    headDim: 128,
    rows: 2,
    position: 8190,
    maxNmse: 1e-7,
    because: 'the angle may be an f32, whose steps are 2^-11 here',
  },
])

const attention = (shape: Omit<AttentionCase, 'op'>): Case => ({
  op: 'attention',
  ...shape,
  maxNmse: 5e-6,
  because: 'K and V may be kept in f16',
})

const upTo = (positions: number) =>
  Array.from({ length: positions }, (_, position) => ({ position, rows: 1 }))

const attentionCases: Case[] = [
  attention({ what: 'one position', heads: 4, kvHeads: 4, headDim: 32, steps: [{ position: 0, rows: 1 }] }),
  attention({ what: 'token by token', heads: 8, kvHeads: 2, headDim: 32, steps: upTo(70) }),
  attention({
    what: 'a prompt in chunks across pages, then tokens, to position 600',
    heads: 4,
    kvHeads: 2,
    headDim: 32,
    steps: [
      ...Array.from({ length: 9 }, (_, chunk) => ({ position: chunk * 64, rows: 64 })),
      { position: 576, rows: 17 },
      ...Array.from({ length: 8 }, (_, i) => ({ position: 593 + i, rows: 1 })),
    ],
  }),
  attention({ what: 'seven query heads to a KV head', heads: 14, kvHeads: 2, headDim: 64, steps: upTo(5) }),
  attention({
    what: 'one KV head for all, wide heads',
    heads: 5,
    kvHeads: 1,
    headDim: 128,
    steps: [{ position: 0, rows: 3 }],
  }),
  attention({
    what: 'a head width that fills no vector',
    heads: 3,
    kvHeads: 3,
    headDim: 10,
    steps: [
      { position: 0, rows: 7 },
      { position: 7, rows: 2 },
    ],
  }),
  attention({
    what: 'rollback: an earlier position after later ones were stored',
    heads: 4,
    kvHeads: 2,
    headDim: 32,
    steps: [
      { position: 0, rows: 64 },
      { position: 64, rows: 40 },
      { position: 30, rows: 1 },
      { position: 31, rows: 5 },
      { position: 0, rows: 2 },
    ],
  }),
  attention({
    what: 'only the last rows of a chunk have a query',
    heads: 4,
    kvHeads: 2,
    headDim: 32,
    steps: [
      { position: 0, rows: 64, queries: 1 },
      { position: 64, rows: 40, queries: 1 },
      { position: 104, rows: 9, queries: 5 },
    ],
  }),
]

const swigluCases: Case[] = [1, 31, 768, 5632].map((n) => ({ op: 'swiglu', n, maxNmse: 1e-10 }))

const vocabularies = [1, 3, 50, 4096, 32_003]

const softmaxCases: Case[] = [0.01, 0.8, 10].flatMap((temperature) =>
  vocabularies.map((n) => ({ op: 'softmax', n, temperature, maxNmse: 1e-10 })),
)

const searchCases: Case[] = (['argmax', 'firstAtLeast'] as const).flatMap((op) =>
  vocabularies.map((n) => ({ op, n, maxNmse: 0 })),
)

export const cases: readonly Case[] = [
  ...matmulCases,
  ...embedCases,
  ...normCases,
  ...ropeCases,
  ...attentionCases,
  ...swigluCases,
  ...softmaxCases,
  ...searchCases,
]

/** A case in words. */
export function titleOf(testCase: Case): string {
  switch (testCase.op) {
    case 'matmul': {
      const { types, cols, outs, rows } = testCase
      const level = testCase.level ? ', level' : ''
      const bias = testCase.bias ? ', bias' : ''
      const add = testCase.add ? ', added to what is there' : ''
      return `matmul ${types.join('+')} (${rows}, ${cols}) → ${outs.join('+')}${level}${bias}${add}`
    }
    case 'embed':
      return `embed ${testCase.type}, tokens ${testCase.tokens.join(' ')}`
    case 'rmsNorm':
      return `rmsNorm (${testCase.rows}, ${testCase.dim})${testCase.inPlace ? ' in place' : ''}`
    case 'rope':
      return `rope ${testCase.pairs} (${testCase.rows}, ${testCase.heads}, ${testCase.headDim}) at ${testCase.position}`
    case 'attention':
      return `attention ${testCase.heads}/${testCase.kvHeads} heads of ${testCase.headDim}: ${testCase.what}`
    case 'swiglu':
      return `swiglu (${testCase.n})`
    case 'softmax':
      return `softmax (${testCase.n}) at temperature ${testCase.temperature}`
    case 'argmax':
    case 'firstAtLeast':
      return `${testCase.op} (${testCase.n})`
  }
}
