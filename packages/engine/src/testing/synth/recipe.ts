/**
 * Which weight type each tensor of a quantized file has: llama.cpp's recipes, without an importance matrix.
 *
 * Source: `llama_tensor_get_type_impl` and `tensor_type_fallback` in llama.cpp's src/llama-quant.cpp.
 *
 * @module
 */
import { type WeightType, weightTypes } from '../../gguf/quant.ts'
import type { ModelShape } from './shapes.ts'

/** Ways to quantize a whole file, by llama.cpp's names, each with its number in `general.file_type`. */
export const recipes = { F16: 1, Q4_0: 2, Q8_0: 7, Q4_K_M: 15, Q5_K_M: 17, Q6_K: 18 } as const
export type Recipe = keyof typeof recipes

/** A matrix of the file: its name without 'blk.N.' and '.weight', and its layer, if any. */
export type RecipeTensor = { role: string; layer: number | null; cols: number }

/**
 * The type of one matrix: of rows that are no whole blocks of 256 weights (ffn_down of qwen2.5-72b, nearly everything in
 * qwen2.5-0.5b) one with blocks of 32. Where llama.cpp writes Q5_1 there, for Q5_K, which Hearth does not run, this is Q8_0.
 */
export function tensorType(recipe: Recipe, shape: ModelShape, tensor: RecipeTensor): WeightType {
  const wanted = wantedType(recipe, shape, tensor)
  if (tensor.cols % weightTypes[wanted].weights === 0) return wanted
  return wanted === 'Q4_K' ? 'Q5_0' : 'Q8_0'
}

function wantedType(recipe: Recipe, shape: ModelShape, { role, layer }: RecipeTensor): WeightType {
  if (recipe === 'F16' || recipe === 'Q8_0') return recipe
  if (role === 'output' || (role === 'token_embd' && shape.tiedOutput)) return 'Q6_K'
  if (recipe !== 'Q4_K_M' && recipe !== 'Q5_K_M') return recipe
  const usual = recipe === 'Q4_K_M' ? 'Q4_K' : 'Q5_K'
  if (layer === null) return usual
  const isSensitive = role === 'attn_v' || role === 'ffn_down'
  if (isSensitive && getsMoreBits(layer, shape.nLayers)) return 'Q6_K'
  return role === 'attn_v' && shape.nLayers === 80 ? 'Q5_K' : usual
}

/** The first and the last eighth, and every third layer between (`use_more_bits`). */
function getsMoreBits(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8)
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2
}
