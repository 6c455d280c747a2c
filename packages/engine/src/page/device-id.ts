/**
 * Who this tab is, across reloads: an id kept by the browser profile and held by a Web Lock while the tab lives, so
 * that a second tab of the same profile becomes a second device instead of the same one twice.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'

const maxTabs = 16
/** A reloading tab's old page may still hold its lock for a moment. */
const reloadGraceMs = 1500
const slotKey = 'hearth.slot'

/** @returns the id; held until the page goes away */
export async function claimDeviceId(): Promise<DeviceId> {
  const previous = Number(sessionStorage.getItem(slotKey) ?? NaN)
  if (Number.isInteger(previous) && (await claim(previous, reloadGraceMs))) return idOf(previous)
  for (let slot = 0; slot < maxTabs; slot++) {
    if (!(await claim(slot, 0))) continue
    sessionStorage.setItem(slotKey, String(slot))
    return idOf(slot)
  }
  return crypto.randomUUID() as DeviceId
}

function idOf(slot: number): DeviceId {
  const key = `hearth.device.${slot}`
  const id = localStorage.getItem(key) ?? crypto.randomUUID()
  localStorage.setItem(key, id)
  return id as DeviceId
}

/** Holds the slot's lock for the life of the page. */
function claim(slot: number, waitMs: number): Promise<boolean> {
  const forever = new Promise<never>(() => {})
  const options: LockOptions = waitMs > 0 ? { signal: AbortSignal.timeout(waitMs) } : { ifAvailable: true }
  return new Promise((resolve) => {
    navigator.locks
      .request(`hearth.slot.${slot}`, options, (lock) => {
        resolve(lock !== null)
        return lock === null ? undefined : forever
      })
      .catch(() => resolve(false))
  })
}

/** "Chrome on Android": what others see until a person types a name. */
export function defaultName(userAgent: string): string {
  const first = (table: readonly (readonly [RegExp, string])[], otherwise: string) =>
    table.find(([pattern]) => pattern.test(userAgent))?.[1] ?? otherwise
  const browser = first(
    [
      [/Edg\//, 'Edge'],
      [/OPR\//, 'Opera'],
      [/SamsungBrowser\//, 'Samsung Internet'],
      [/Firefox\/|FxiOS\//, 'Firefox'],
      [/Chrom(e|ium)\/|CriOS\//, 'Chrome'],
      [/Safari\//, 'Safari'],
    ],
    'Browser',
  )
  const system = first(
    [
      [/Android/, 'Android'],
      [/iPhone/, 'iPhone'],
      [/iPad/, 'iPad'],
      [/CrOS/, 'Chromebook'],
      [/Mac OS X/, 'Mac'],
      [/Windows/, 'Windows'],
      [/Linux/, 'Linux'],
    ],
    'a device',
  )
  return `${browser} on ${system}`
}
