/**
 * The tensors of a synthetic model, in the order of llama.cpp's converter, each with where its bytes come from.
 *
 * @module
 */
import { rowBytes, weightTypes, type WeightType } from '../../gguf/quant.ts'
import { createPrng } from '../../model/prng.ts'
import type { TensorEntry } from '../gguf-writer.ts'
import { matrixPool, vectorPool } from './block-pool.ts'
import { tensorType, type Recipe } from './recipe.ts'
import { ropeFactors } from './rope-factors.ts'
import type { ModelShape } from './shapes.ts'

export type SynthTensor = TensorEntry & {
  /** The bytes of which the tensor is made, made when first asked for: from `start` on, and round again. */
  pool(): Uint8Array
  start: number
}

export function synthTensors(shape: ModelShape, recipe: Recipe, seed: number): SynthTensor[] {
  const { dim, nHeads, nKvHeads, ffnDim, vocabSize, architecture } = shape
  const headDim = dim / nHeads
  const pools = new Map<string, Uint8Array>()
  const random = createPrng(seed)

  /** A place in a pool that other tensors share. */
  function place(key: string, unitBytes: number, make: (seed: number) => Uint8Array) {
    const start = Math.floor(random() * 65_536) * unitBytes
    const pool = () => {
      const made = pools.get(key) ?? make(seed + 2 * pools.size + 1)
      pools.set(key, made)
      return made
    }
    return { pool, start }
  }

  function matrix(role: string, layer: number | null, rows: number, cols: number): SynthTensor {
    const type: WeightType = tensorType(recipe, shape, { role, layer, cols })
    const { id, bytes } = weightTypes[type]
    const made = place(`${type} ${cols}`, bytes, (seed) => matrixPool(seed, type, cols))
    const name = `${nameIn(layer, role)}.weight`
    return { name, typeId: id, shape: [cols, rows], byteLength: rows * rowBytes(type, cols), ...made }
  }
  function vector(name: string, length: number, centre: number, spread: number): SynthTensor {
    const made = place(`${centre} ${spread}`, 4, (seed) => vectorPool(seed, centre, spread))
    return { name, typeId: weightTypes.F32.id, shape: [length], byteLength: length * 4, ...made }
  }
  const norm = (name: string) => vector(`${name}.weight`, dim, 1, 0.1)

  function layer(i: number): SynthTensor[] {
    const biases = architecture === 'qwen2' ? { attn_q: nHeads, attn_k: nKvHeads, attn_v: nKvHeads } : {}
    return [
      norm(nameIn(i, 'attn_norm')),
      matrix('attn_q', i, nHeads * headDim, dim),
      matrix('attn_k', i, nKvHeads * headDim, dim),
      matrix('attn_v', i, nKvHeads * headDim, dim),
      ...Object.entries(biases).map(([role, heads]) =>
        vector(`${nameIn(i, role)}.bias`, heads * headDim, 0, 0.1),
      ),
      matrix('attn_output', i, dim, nHeads * headDim),
      norm(nameIn(i, 'ffn_norm')),
      matrix('ffn_gate', i, ffnDim, dim),
      matrix('ffn_up', i, ffnDim, dim),
      matrix('ffn_down', i, dim, ffnDim),
    ]
  }

  return [
    ...(shape.ropeFactor === undefined ? [] : [factors(headDim, shape.ropeBase, shape.ropeFactor)]),
    matrix('token_embd', null, vocabSize, dim),
    ...Array.from({ length: shape.nLayers }, (_, i) => layer(i)).flat(),
    norm('output_norm'),
    ...(shape.tiedOutput ? [] : [matrix('output', null, vocabSize, dim)]),
  ]
}

const nameIn = (layer: number | null, role: string) => (layer === null ? role : `blk.${layer}.${role}`)

function factors(headDim: number, ropeBase: number, slowest: number): SynthTensor {
  const bytes = new Uint8Array(ropeFactors(headDim, ropeBase, slowest).buffer)
  const entry = { name: 'rope_freqs.weight', typeId: weightTypes.F32.id, shape: [headDim / 2] }
  return { ...entry, byteLength: bytes.length, pool: () => bytes, start: 0 }
}
