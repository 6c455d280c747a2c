/**
 * Refusals as sentences a parent can act on.
 *
 * @module
 */
import { largestLayerBytes } from './layer-bytes.ts'
import { bufferBytes, layerKvBytes } from './symbols.ts'
import type { DeviceProfile, ModelProfile } from './types.ts'

/** "5.2 GB", "310 MB": decimal units, as shops and phones print them. */
export function formatBytes(bytes: number): string {
  const [size, unit] =
    bytes >= 1e9 ? [bytes / 1e9, 'GB'] : bytes >= 1e6 ? [bytes / 1e6, 'MB'] : [bytes / 1e3, 'kB']
  return `${size >= 99.95 ? Math.round(size) : size.toFixed(1)} ${unit}`
}

/** Why the model does not fit these devices, and what would help. */
export function noPlanSentence(devices: readonly DeviceProfile[], model: ModelProfile): string {
  if (devices.length === 0)
    return 'No device has measured itself yet; open Hearth on one and wait a few seconds.'

  const twoLayers = 2 * largestLayerBytes(model)
  const kv = layerKvBytes(model) * model.nLayers
  const offers = devices.map(({ memoryBytes }) => Math.max(0, memoryBytes - bufferBytes(model)))
  const largest = Math.max(...offers)
  const here =
    devices.length === 1
      ? `the one device here offers ${formatBytes(largest)}`
      : `the ${devices.length} devices here offer ${formatBytes(largest)} at most`
  const kvAdvice = kv > twoLayers / 10 ? ', or a shorter context' : ''
  return `Even with its layers streamed, this model needs ${formatBytes(twoLayers)} for two layers at a time on each device that runs some, and ${formatBytes(kv)} in all for ${model.contextLength} positions; ${here}. Open Hearth on another device, let the devices here use more memory, or choose a smaller model${kvAdvice}.`
}
