/**
 * Measurements between visits, in IndexedDB: good for a day, in the same browser, with the same kernels and threads.
 *
 * @module
 */
import { openDB } from 'idb'

export const databaseName = 'hearth-measurements'
export const storeName = 'measurements'
/** Of what is kept; change it when measurements mean something else. */
const format = 1
const keptForMs = 86_400_000

/** What measurements depend on, besides what was measured. */
export type Circumstances = {
  /** The browser and its version, as navigator.userAgent says them. */
  browser: string
  /** Kernels and threads: "WASM, relaxed SIMD, 2 threads". */
  compute: string
  /** The store was made slow for an experiment. */
  diskBytesPerSec: number | null
}

export interface KeptMeasurements {
  /** null where nothing is kept, or nothing that still holds. */
  get<T extends { measuredAtMs: number }>(what: string): Promise<T | null>
  put(what: string, measured: { measuredAtMs: number }): Promise<void>
}

/** Where the browser keeps nothing, every visit measures. */
export function createKeptMeasurements(circumstances: Circumstances): KeptMeasurements {
  const opening = openDB(databaseName, 1, {
    upgrade: (db) => void db.createObjectStore(storeName),
    blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
  })
  opening.catch(() => {})
  const isKept = JSON.stringify({ format, ...circumstances })
  return {
    async get<T extends { measuredAtMs: number }>(what: string) {
      const found: unknown = await opening.then((db) => db.get(storeName, what)).catch(() => null)
      const { under, measured } = (found ?? {}) as { under?: string; measured?: T }
      if (under !== isKept || measured === undefined) return null
      const ageMs = Date.now() - measured.measuredAtMs
      return ageMs >= 0 && ageMs < keptForMs ? measured : null
    },
    async put(what, measured) {
      await opening.then((db) => db.put(storeName, { under: isKept, measured }, what)).catch(() => {})
    },
  }
}
