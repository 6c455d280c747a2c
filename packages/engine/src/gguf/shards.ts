/**
 * Which bytes of a GGUF file make up layer i and the head, and where each tensor lies once packed.
 *
 * @module
 */
import type { WeightType } from './quant.ts'

/** A tensor of a shard: where it comes from and where it goes. */
export type PackedTensor = {
  name: string
  type: WeightType
  /** W (rows, cols); a vector has rows 1 and is stored as GGUF stores it. */
  rows: number
  cols: number
  kind: 'matrix' | 'vector'
  /** Absolute, in the GGUF file. */
  sourceOffset: number
  sourceBytes: number
  /** In the shard's file; a multiple of 64. */
  offset: number
  byteLength: number
}

/** The part of a model that is stored and loaded as one file. */
export type Shard = {
  /** 'layer-007' or 'head' (embedding, output norm, lm_head unless tied). */
  file: string
  tensors: PackedTensor[]
  byteLength: number
}
