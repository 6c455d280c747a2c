/**
 * A device's part of a model, unit by unit, as residency sees it: its layers, then the pieces of the output.
 *
 * @module
 */
import type { OutputPiece } from '../gguf/output-pieces.ts'
import type { Shard } from '../gguf/shards.ts'

export type Holding = {
  /** Run on the processor, in running order. */
  layers: readonly number[]
  /** Run on the GPU, where they are held for good: no units, and in no budget of the processor's. */
  gpuLayers: readonly number[]
  head: boolean
}

/** Bytes of a stored file that are held or streamed as one. */
export type Unit = {
  /** Layers count from 0; the pieces of the output follow the last one. */
  unit: number
  shard: Shard
  /** In the shard's file. */
  offset: number
  byteLength: number
}

/** Every unit of a model, by its number. */
export function allUnits(
  shards: { layers: readonly Shard[]; head: Shard },
  pieces: readonly OutputPiece[],
): Unit[] {
  const layers = shards.layers.map((shard) => ({ shard, offset: 0, byteLength: shard.byteLength }))
  const output = pieces.map(({ offset, byteLength }) => ({ shard: shards.head, offset, byteLength }))
  return [...layers, ...output].map((where, unit) => ({ unit, ...where }))
}

/** What of them a device runs on its processor, in running order. */
export function unitsOf(units: readonly Unit[], nLayers: number, { layers, head }: Holding): Unit[] {
  return [...layers.map((layer) => units[layer]!), ...(head ? units.slice(nLayers) : [])]
}
