/**
 * The output matrix in pieces of consecutive rows, so that it can be held or streamed like layers: lm_head of a large
 * model is larger than its layers.
 *
 * @module
 */
import { outputPieceCount } from '@hearth/halda'
import { EngineError } from '../errors.ts'
import type { Packing } from './packing.ts'
import type { PackedTensor, Shard } from './shards.ts'

/** Rows [firstRow, firstRow + rows), whole groups of them. */
export type OutputPiece = {
  firstRow: number
  rows: number
  /** In the head's file. */
  offset: number
  byteLength: number
}

/** The tensor of a shard. @throws EngineError 'bug' when it is not there */
export function tensorOf(shard: Shard, name: string): PackedTensor {
  const tensor = shard.tensors.find((tensor) => tensor.name === name)
  if (!tensor) throw new EngineError('bug', `Shard ${shard.file} holds no ${name}`)
  return tensor
}

/** lm_head, which is the embedding where they are tied. */
export const outputOf = (head: Shard): PackedTensor =>
  head.tensors.find(({ name }) => name === 'output.weight') ?? tensorOf(head, 'token_embd.weight')

/**
 * @param head the head's shard
 * @param mostBytes of a piece, up to a group of rows: the model's largest layer
 */
export function outputPieces(head: Shard, packing: Packing, mostBytes: number): OutputPiece[] {
  const { type, rows, cols, offset, byteLength } = outputOf(head)
  const groupBytes = packing.groupBytes(type, cols)
  const groups = byteLength / groupBytes
  const groupsPerPiece = Math.ceil(groups / Math.min(groups, outputPieceCount(byteLength, mostBytes)))
  return Array.from({ length: Math.ceil(groups / groupsPerPiece) }, (_, i) => {
    const first = i * groupsPerPiece
    const count = Math.min(groupsPerPiece, groups - first)
    const firstRow = first * packing.rowGroup
    return {
      firstRow,
      rows: Math.min(count * packing.rowGroup, rows - firstRow),
      offset: offset + first * groupBytes,
      byteLength: count * groupBytes,
    }
  })
}
