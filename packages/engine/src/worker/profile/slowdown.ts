/**
 * How much slower a device is than it measured: out of sight, low on battery, or warm.
 *
 * @module
 */
import type { DeviceProfile, Slowdown } from '@hearth/halda'
import { median } from '../../median.ts'

/** What the page sees of its device. */
export type Conditions = {
  /** The tab is out of sight. */
  isHidden: boolean
  /** Little charge, and none coming. */
  isBatteryLow: boolean
}

/**
 * A choice, no measurement: browsers throttle hidden tabs and devices save power without saying how much, so layers go
 * elsewhere where others are nearly as fast.
 */
const hiddenFactor = 2
const batteryFactor = 1.25

/** @param heatFactor what {@link createHeat} says. @returns undefined when the device is as it was measured */
export function slowdownOf({ isHidden, isBatteryLow }: Conditions, heatFactor: number): Slowdown | undefined {
  const found: [Slowdown['reasons'][number], number][] = []
  if (isHidden) found.push(['hidden', hiddenFactor])
  if (isBatteryLow) found.push(['battery', batteryFactor])
  if (heatFactor > 1) found.push(['heat', heatFactor])
  if (found.length === 0) return undefined
  const factor = found.reduce((product, [, each]) => product * each, 1)
  return { factor: Math.round(factor * 100) / 100, reasons: found.map(([reason]) => reason) }
}

/** The profile of a device that computes so much slower, its GPU too; its memory, disk and hops stay. */
export function slowed(profile: DeviceProfile, slowdown: Slowdown | undefined): DeviceProfile {
  if (!slowdown) return profile
  const { factor } = slowdown
  const slower = (rates: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(rates).map(([type, rate]) => [type, rate / factor]))
  const rate = (value: number | undefined) => value && value / factor
  const time = (value: number | undefined) => value && value * factor
  return {
    ...profile,
    slowdown,
    weightBytesPerSec: slower(profile.weightBytesPerSec),
    prefillBytesPerSec: profile.prefillBytesPerSec && slower(profile.prefillBytesPerSec),
    kvReadBytesPerSec: rate(profile.kvReadBytesPerSec),
    layerFixedMs: time(profile.layerFixedMs),
    kvAppendMs: time(profile.kvAppendMs),
    headFixedMs: time(profile.headFixedMs),
    gpu: profile.gpu && {
      ...profile.gpu,
      weightBytesPerSec: slower(profile.gpu.weightBytesPerSec),
      prefillBytesPerSec: profile.gpu.prefillBytesPerSec && slower(profile.gpu.prefillBytesPerSec),
      copyMs: profile.gpu.copyMs * factor,
    },
  }
}

/** Tokens whose layers make one sample: some seconds of an answer. */
const sampleTokens = 100
/** Less may be another program, and is no reason to share out layers anew. */
const leastHeat = 1.25
/** A device that rests that long has cooled down. */
const coolAfterMs = 120_000

/**
 * Thermal drift: what layers take now over what they took when they were fastest since the page opened.
 *
 * @param nowMs a clock
 */
export function createHeat(nowMs: () => number = () => performance.now()) {
  let sample: number[] = []
  let fastestMs = Infinity
  let latestMs = Infinity
  let notedAtMs = -Infinity
  return {
    /** @param layerMs of one layer for one token, reading K and V left out */
    note(layerMs: number): void {
      notedAtMs = nowMs()
      sample.push(layerMs)
      if (sample.length < sampleTokens) return
      latestMs = median(sample)
      fastestMs = Math.min(fastestMs, latestMs)
      sample = []
    },
    /** 1 when it is as fast as ever. */
    factor(): number {
      if (latestMs === Infinity || nowMs() - notedAtMs > coolAfterMs) return 1
      const drift = latestMs / fastestMs
      return drift < leastHeat ? 1 : Math.round(drift * 10) / 10
    },
    /** Another model, or another share of it. */
    reset(): void {
      sample = []
      fastestMs = latestMs = Infinity
    },
  }
}
