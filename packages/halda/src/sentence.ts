/**
 * Refusals as sentences a parent can act on.
 *
 * @module
 */
import { bufferBytes, headMemoryBytes, layerMemoryBytes } from './cost.ts'
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

  const layers = model.layerBytes.map((_, layer) => layerMemoryBytes(model, layer))
  const head = headMemoryBytes(model)
  const kv = model.kvBytesPerPosition * model.contextLength * model.nLayers
  const needed = layers.reduce((sum, bytes) => sum + bytes, head)
  const offered = devices.reduce((sum, { memoryBytes }) => sum + Math.max(0, memoryBytes - bufferBytes), 0)
  const largest = Math.max(0, ...devices.map(({ memoryBytes }) => memoryBytes - bufferBytes))
  const oneDevice = devices.length === 1
  const here = oneDevice ? 'the one device here offers' : `the ${devices.length} devices here offer`
  const kvAdvice =
    kv > needed / 10
      ? `, or a shorter context (${formatBytes(kv)} of this is for ${model.contextLength} positions)`
      : ''
  const advice = `Open Hearth on another device, let the devices here use more memory, or choose a smaller model${kvAdvice}.`

  if (needed > offered) {
    return `This model needs ${formatBytes(needed)} and ${here} ${formatBytes(offered)}${oneDevice ? '' : ' together'}. ${advice}`
  }
  if (head > largest) {
    return `One device must hold the ${formatBytes(head)} that turn text into numbers and back, and none here offers more than ${formatBytes(largest)}. Let one device use more memory, or choose a smaller model.`
  }
  return `This model needs ${formatBytes(needed)} and ${here} ${formatBytes(offered)} together, but its layers of up to ${formatBytes(Math.max(...layers))} cannot be cut to fill every device to the brim. ${advice}`
}
