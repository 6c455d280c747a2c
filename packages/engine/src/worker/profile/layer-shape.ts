/**
 * The shapes of a layer's matrices: rates depend on them as well as on the weight type.
 *
 * @module
 */
import type { ModelProfile } from '@hearth/halda'
import type { Packing } from '../../gguf/packing.ts'
import { weightTypes, type WeightType } from '../../gguf/quant.ts'

export type LayerShape = {
  /** Width of the hidden state. */
  dim: number
  /** Width of a position's K, and of its V. */
  kvDim: number
  /** Width inside the feed-forward part. */
  ffnDim: number
}

/** Before a model is chosen: between the smallest and the largest that a house would run. */
export const usualShape: LayerShape = { dim: 2048, kvDim: 512, ffnDim: 8192 }

/** Width of a head where a profile does not say: most models have heads of 64 or 128. */
export const usualHeadDim = 64

/** Every type's blocks fit in whole. */
const laneStep = 256
/** K and V in f16. */
const kvBytesPerLane = 4

/** The shape that a model's sizes give away: W_q and W_o are (dim, dim), W_k and W_v (kvDim, dim), three (ffnDim, dim). */
export function shapeOf(model: ModelProfile, packing: Packing): LayerShape {
  const inSteps = (lanes: number) => Math.max(laneStep, Math.round(lanes / laneStep) * laneStep)
  const { dim } = model
  const kvDim = model.kvBytesPerPosition / kvBytesPerLane
  const weights = Object.entries(model.layerBytes[0] ?? {}).reduce(
    (sum, [type, bytes]) => sum + (isWeightType(type) ? bytes / bytesPerWeight(packing, type) : 0),
    0,
  )
  const ffnDim = (weights / dim - 2 * dim - 2 * kvDim) / 3
  return { dim: inSteps(dim), kvDim: inSteps(kvDim), ffnDim: inSteps(ffnDim) }
}

/** (rows, cols) of a layer's seven matrices, in the order in which they run. */
export const matricesOf = ({ dim, kvDim, ffnDim }: LayerShape): [rows: number, cols: number][] => [
  [dim, dim],
  [kvDim, dim],
  [kvDim, dim],
  [dim, dim],
  [ffnDim, dim],
  [ffnDim, dim],
  [dim, ffnDim],
]

export const isWeightType = (type: string): type is WeightType => Object.hasOwn(weightTypes, type)

export const bytesPerWeight = (packing: Packing, type: WeightType): number =>
  packing.groupBytes(type, laneStep) / (packing.rowGroup * laneStep)
