/**
 * Whether layers move: a plan is a matter of gigabytes on disks, and changing it has a price.
 *
 * The rule: the current plan stays unless the new one's token is shorter by more than `leastGain` and `leastGainMs`, and
 * what must be loaded for it is earned back within `paybackTokens` tokens.
 *
 * @module
 */
import type { PlanCost } from './cost.ts'
import { totalBytes } from './layer-bytes.ts'
import { headMemoryBytes, nsPerMs } from './symbols.ts'
import type { DeviceId, DeviceProfile, ModelProfile, Plan } from './types.ts'

/** Of the current token's time. Predictions are not much better than that. */
export const leastGain = 0.05
/** Nobody sees that a word came so much sooner, and hops change by as much from one moment to the next. */
const leastGainMs = 2
/** A few answers. */
export const paybackTokens = 2000

/** Loading what a device is given anew, all devices at once, as fast as their downloads [b ÷ rate]. */
export function moveMs(from: Plan, to: Plan, devices: readonly DeviceProfile[], model: ModelProfile): number {
  return devices.reduce((longestMs, { device, diskReadBytesPerSec, downloadBytesPerSec }) => {
    const had = layersOf(from, device)
    const layers = [...layersOf(to, device)].filter((layer) => !had.has(layer))
    const layerBytes = layers.reduce((sum, layer) => sum + totalBytes(model.layerBytes[layer] ?? {}), 0)
    const headBytes = to.head === device && from.head !== device ? headMemoryBytes(model) : 0
    const bytesPerSec = downloadBytesPerSec ?? diskReadBytesPerSec
    return Math.max(longestMs, ((layerBytes + headBytes) / bytesPerSec) * 1000)
  }, 0)
}

/** @param current the plan that runs, with its cost by the same profiles as `next` */
export function isWorthMoving(
  current: { plan: Plan; cost: PlanCost },
  next: Plan,
  devices: readonly DeviceProfile[],
  model: ModelProfile,
): boolean {
  const currentMs = current.cost.tpotNs / nsPerMs
  const gainMs = currentMs - next.predictedTpotMs
  const isSeen = gainMs > Math.max(leastGainMs, leastGain * currentMs)
  return isSeen && gainMs * paybackTokens > moveMs(current.plan, next, devices, model)
}

const layersOf = ({ windows }: Plan, device: DeviceId): Set<number> =>
  new Set(
    windows
      .filter((window) => window.device === device)
      .flatMap(({ firstLayer, layers }) => Array.from({ length: layers }, (_, i) => firstLayer + i)),
  )
