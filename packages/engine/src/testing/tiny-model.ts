/**
 * Whole models of a few kilobytes, made from a seed: valid GGUF files with random weights and a byte-level vocabulary.
 *
 * Random weights amplify every error: two implementations that agree on one of these agree.
 *
 * @module
 */
import { type WeightType, weightTypes } from '../gguf/quant.ts'
import { createPrng } from '../model/prng.ts'
import { byteVocabulary } from './byte-vocabulary.ts'
import { type MetadataValue, type TensorBytes, writeGguf } from './gguf-writer.ts'
import { randomBlocks } from './random-blocks.ts'

export type TinyModelOptions = {
  seed?: number
  architecture?: 'llama' | 'qwen2'
  nLayers?: number
  /** Multiples of the weight type's block: 256 for Q4_K and Q6_K, 32 for Q8_0 and Q4_0. */
  dim?: number
  ffnDim?: number
  nHeads?: number
  nKvHeads?: number
  /** Of every matrix. */
  type?: WeightType
  /** At least 270; beyond the 267 real tokens come fillers. */
  vocabSize?: number
  contextLength?: number
  /** lm_head is the token embedding; else `output.weight` is there. */
  tiedOutput?: boolean
  /** Adds `rope_freqs.weight`, as Llama 3.1 has it. */
  ropeFactors?: boolean
  /** Added to the metadata, or in place of what is there. */
  metadata?: Readonly<Record<string, MetadataValue>>
}

/** A whole GGUF file. @throws RangeError when a width is not a whole number of blocks */
export function tinyModel(options: TinyModelOptions = {}): Uint8Array {
  const {
    seed = 1,
    architecture = 'llama',
    nLayers = 2,
    dim = 64,
    ffnDim = 2 * dim,
    nHeads = 4,
    nKvHeads = 2,
    type = 'F32',
    vocabSize = 288,
    contextLength = 256,
    tiedOutput = true,
    ropeFactors = false,
    metadata = {},
  } = options
  const random = createPrng(seed)
  const headDim = dim / nHeads

  const matrix = (name: string, cols: number, rows: number): TensorBytes => ({
    name,
    typeId: weightTypes[type].id,
    shape: [cols, rows],
    bytes: randomBlocks(random() * 2 ** 32, type, rows, cols),
  })
  /** Values `spread` around `centre`. */
  const vector = (name: string, length: number, centre: number, spread: number): TensorBytes => {
    const values = Float32Array.from({ length }, () => centre + (2 * random() - 1) * spread)
    return { name, typeId: weightTypes.F32.id, shape: [length], bytes: new Uint8Array(values.buffer) }
  }
  const bias = (name: string, length: number) =>
    architecture === 'qwen2' ? [vector(name, length, 0, 0.5)] : []

  const tensors = [
    matrix('token_embd.weight', dim, vocabSize),
    ...(ropeFactors ? [vector('rope_freqs.weight', headDim / 2, 4, 3)] : []),
    ...Array.from({ length: nLayers }, (_, i) => [
      vector(`blk.${i}.attn_norm.weight`, dim, 1, 0.25),
      matrix(`blk.${i}.attn_q.weight`, dim, nHeads * headDim),
      matrix(`blk.${i}.attn_k.weight`, dim, nKvHeads * headDim),
      matrix(`blk.${i}.attn_v.weight`, dim, nKvHeads * headDim),
      ...bias(`blk.${i}.attn_q.bias`, nHeads * headDim),
      ...bias(`blk.${i}.attn_k.bias`, nKvHeads * headDim),
      ...bias(`blk.${i}.attn_v.bias`, nKvHeads * headDim),
      matrix(`blk.${i}.attn_output.weight`, nHeads * headDim, dim),
      vector(`blk.${i}.ffn_norm.weight`, dim, 1, 0.25),
      matrix(`blk.${i}.ffn_gate.weight`, dim, ffnDim),
      matrix(`blk.${i}.ffn_up.weight`, dim, ffnDim),
      matrix(`blk.${i}.ffn_down.weight`, ffnDim, dim),
    ]).flat(),
    vector('output_norm.weight', dim, 1, 0.25),
    ...(tiedOutput ? [] : [matrix('output.weight', dim, vocabSize)]),
  ]
  return writeGguf(
    {
      'general.architecture': architecture,
      'general.name': `tiny ${architecture} ${seed}`,
      [`${architecture}.context_length`]: contextLength,
      [`${architecture}.embedding_length`]: dim,
      [`${architecture}.block_count`]: nLayers,
      [`${architecture}.feed_forward_length`]: ffnDim,
      [`${architecture}.attention.head_count`]: nHeads,
      [`${architecture}.attention.head_count_kv`]: nKvHeads,
      [`${architecture}.attention.layer_norm_rms_epsilon`]: 1e-5,
      [`${architecture}.rope.freq_base`]: 10_000,
      [`${architecture}.rope.dimension_count`]: headDim,
      [`${architecture}.vocab_size`]: vocabSize,
      ...byteVocabulary(vocabSize),
      ...metadata,
    },
    tensors,
  )
}
