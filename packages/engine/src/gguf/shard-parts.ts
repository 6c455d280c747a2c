/**
 * A shard as the store sees it: bytes of the file, in units that are packed one by one.
 *
 * @module
 */
import type { Packing } from './packing.ts'
import { rowBytes } from './quant.ts'
import type { PackedTensor, Shard } from './shards.ts'

/** What `store/download.ts` wants to know of a tensor; the last unit of the source may be short. */
export type ShardPart = {
  sourceOffset: number
  sourceBytes: number
  offset: number
  unitSourceBytes: number
  unitBytes: number
  pack(source: Uint8Array, out: Uint8Array): void
}

/** A matrix in groups of rows; a vector whole, as it is. */
export function shardParts(shard: Shard, packing: Packing): ShardPart[] {
  return shard.tensors.map((tensor) =>
    tensor.kind === 'matrix' ? matrixPart(tensor, packing) : vectorPart(tensor),
  )
}

function matrixPart(
  { type, cols, sourceOffset, sourceBytes, offset }: PackedTensor,
  packing: Packing,
): ShardPart {
  const sourceRowBytes = rowBytes(type, cols)
  return {
    sourceOffset,
    sourceBytes,
    offset,
    unitSourceBytes: packing.rowGroup * sourceRowBytes,
    unitBytes: packing.groupBytes(type, cols),
    pack: (source, out) => packing.packGroup(type, cols, source.length / sourceRowBytes, source, out),
  }
}

const vectorPart = ({ sourceOffset, sourceBytes, offset }: PackedTensor): ShardPart => ({
  sourceOffset,
  sourceBytes,
  offset,
  unitSourceBytes: sourceBytes,
  unitBytes: sourceBytes,
  pack: (source, out) => out.set(source),
})
