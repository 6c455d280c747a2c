/**
 * Bytes of a model's layers, which differ by some per cent where a file mixes weight types (Q4_K_M: by a seventh).
 *
 * @module
 */
import type { BytesByType, ModelProfile } from './types.ts'

export const totalBytes = (bytes: BytesByType): number =>
  Object.values(bytes).reduce((sum, each) => sum + each, 0)

const means = new WeakMap<ModelProfile, BytesByType>()

/** Weights of the mean layer, by type [b]. Counted once per model. */
export function meanLayerBytes(model: ModelProfile): BytesByType {
  const known = means.get(model)
  if (known !== undefined) return known
  const mean: Record<string, number> = {}
  for (const layer of model.layerBytes) {
    for (const [type, bytes] of Object.entries(layer)) mean[type] = (mean[type] ?? 0) + bytes / model.nLayers
  }
  means.set(model, mean)
  return mean
}

/** The least and the most weights of so many consecutive layers, by their number, 0…nLayers. */
export type WindowBytes = { least: Float64Array; most: Float64Array }

const windows = new WeakMap<ModelProfile, WindowBytes>()

/** Wherever a window may lie. Counted once per model. */
export function windowBytes(model: ModelProfile): WindowBytes {
  const known = windows.get(model)
  if (known !== undefined) return known
  const sums = runningSum(model.layerBytes.map(totalBytes))
  const least = new Float64Array(sums.length).fill(Infinity)
  const most = new Float64Array(sums.length)
  for (let first = 0; first < sums.length; first++) {
    for (let end = first; end < sums.length; end++) {
      const bytes = (sums[end] ?? 0) - (sums[first] ?? 0)
      const layers = end - first
      if (bytes < (least[layers] ?? 0)) least[layers] = bytes
      if (bytes > (most[layers] ?? 0)) most[layers] = bytes
    }
  }
  const found = { least, most }
  windows.set(model, found)
  return found
}

/** Weights of the largest layer: a slot holds any layer. */
export const largestLayerBytes = (model: ModelProfile): number => windowBytes(model).most[1] ?? 0

/** Of 0…n values: n + 1 sums. */
export function runningSum(values: readonly number[]): Float64Array {
  const sums = new Float64Array(values.length + 1)
  for (const [index, value] of values.entries()) sums[index + 1] = (sums[index] ?? 0) + value
  return sums
}
