/**
 * How much of a GPU's budget the planner may fill. It counts layers as they lie in the store and K and V in f16; on the GPU
 * scales and corrections are f32, and so are K and V. Pure.
 *
 * @module
 */
import { layerKvBytes, totalBytes, type BytesByType, type ModelProfile } from '@hearth/halda'
import { gpuWeightBytes } from '../../gpu/gpu-weights.ts'
import type { Packing } from '../../gguf/packing.ts'
import { gpuRefusal } from '../../model/layer-graph.ts'
import { bytesPerWeight, isWeightType, shapeOf, usualHeadDim } from './layer-shape.ts'

/** K and V in f32 instead of f16. */
const kvFactor = 2
/** Rows that run at once. */
const rows = 128
/** Cols of one whole block of every type. */
const blockCols = 256

/**
 * @param model null where none is chosen: then all of it, and nothing is planned yet
 * @returns 0 for a model that a GPU does not run
 */
export function gpuRoomBytes(budgetBytes: number, model: ModelProfile | null, packing: Packing): number {
  if (model === null) return budgetBytes
  const { headDim = usualHeadDim } = model
  if (gpuRefusal({ headDim })) return 0
  const kvBytes = layerKvBytes(model)
  const [stored, held] = model.layerBytes
    .map((layer) => [totalBytes(layer), heldBytes(layer, packing)] as const)
    .reduce((worst, each) => (each[1] / each[0] > worst[1] / worst[0] ? each : worst))
  const usable = budgetBytes - scratchBytes(model, headDim, packing)
  return Math.max(0, Math.floor((usable * (stored + kvBytes)) / (held + kvFactor * kvBytes)))
}

const heldBytes = (layer: BytesByType, packing: Packing): number =>
  Object.entries(layer).reduce((sum, [type, bytes]) => {
    if (!isWeightType(type)) return sum + bytes
    return sum + (bytes / bytesPerWeight(packing, type)) * (gpuWeightBytes(type, 1, blockCols) / blockCols)
  }, 0)

/**
 * What a step takes beside weights and KV: hidden states of two widths between its operators, and, where attention runs
 * without subgroups, a number for each row, head and position.
 */
function scratchBytes(model: ModelProfile, headDim: number, packing: Packing): number {
  const { dim, ffnDim } = shapeOf(model, packing)
  const heads = dim / headDim
  return 4 * rows * (8 * dim + 4 * ffnDim + heads * model.contextLength)
}
