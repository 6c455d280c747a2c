/**
 * What makes a device slower than it measured and only a page can see: whether it is in sight, and the battery.
 *
 * @module
 */
import type { Conditions } from '../worker/profile/slowdown.ts'

/** Phones begin to save power about here. */
const lowLevel = 0.2

/** W3C Battery Status API; Chromium only (Firefox 52 and Safari 11 took it out again). */
interface BatteryManager extends EventTarget {
  readonly charging: boolean
  /** 0…1 */
  readonly level: number
}

/** Calls with the conditions at once, and whenever they change. @returns stop */
export function watchConditions(onchange: (conditions: Conditions) => void): () => void {
  const ended = new AbortController()
  const { signal } = ended
  let battery: BatteryManager | null = null
  const tell = () =>
    onchange({
      isHidden: document.visibilityState === 'hidden',
      isBatteryLow: battery !== null && !battery.charging && battery.level < lowLevel,
    })
  const follow = (found: BatteryManager) => {
    if (signal.aborted) return
    battery = found
    for (const event of ['chargingchange', 'levelchange']) battery.addEventListener(event, tell, { signal })
    tell()
  }
  document.addEventListener('visibilitychange', tell, { signal })
  const { getBattery } = navigator as { getBattery?: () => Promise<BatteryManager> }
  // Refused inside frames and by policies: then the battery is taken to be full.
  getBattery?.call(navigator).then(follow, () => {})
  tell()
  return () => ended.abort()
}
