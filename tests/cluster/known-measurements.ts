/**
 * What a device of this machine measured, told to those that are opened after it: they run the same kernels on the same
 * processor, and ten browsers that measure at once disturb each other. It is told where the engine keeps its
 * measurements between visits, and holds for as long as this process runs.
 *
 * @module
 */
import type { Page } from 'playwright'
import { databaseName, storeName } from '../../packages/engine/src/worker/profile/kept-measurements.ts'
import type { ClusterOptions } from './cluster-options.ts'

type Entries = [key: string, entry: string][]

export interface KnownMeasurements {
  /** Of which there are none yet, every device measures itself. */
  isEmpty(): boolean
  /** Before the engine of a page on `origin` looks for them. */
  tell(page: Page, origin: string): Promise<void>
  /** What the page's browser has kept, but for a GPU's: not every device here has one. */
  learn(page: Page): Promise<void>
}

const byCircumstances = new Map<string, Map<string, string>>()

/** @param circumstances what measurements depend on besides the machine */
export function measurementsUnder({
  threads,
  backend,
  diskBytesPerSec,
}: Pick<ClusterOptions, 'threads' | 'backend' | 'diskBytesPerSec'>): KnownMeasurements {
  const under = JSON.stringify([threads, backend, diskBytesPerSec])
  const known = byCircumstances.get(under) ?? new Map<string, string>()
  byCircumstances.set(under, known)
  return {
    isEmpty: () => known.size === 0,
    async tell(page, origin) {
      if (known.size === 0) return
      // A page of the origin without the engine.
      await page.goto(new URL('/health', origin).href)
      await page.evaluate(
        ([databaseName, storeName, entries]) =>
          new Promise<void>((resolve, reject) => {
            const opening = indexedDB.open(databaseName, 1)
            opening.addEventListener('upgradeneeded', () => {
              const store = opening.result.createObjectStore(storeName)
              for (const [key, entry] of entries) store.put(JSON.parse(entry), key)
            })
            opening.addEventListener('error', () => reject(opening.error))
            opening.addEventListener('success', () => {
              opening.result.close()
              resolve()
            })
          }),
        [databaseName, storeName, [...known]] as const,
      )
    },
    async learn(page) {
      const entries = await page.evaluate(
        ([databaseName, storeName]) =>
          new Promise<Entries>((resolve, reject) => {
            const opening = indexedDB.open(databaseName, 1)
            opening.addEventListener('error', () => reject(opening.error))
            opening.addEventListener('success', () => {
              const store = opening.result.transaction(storeName).objectStore(storeName)
              const keys = store.getAllKeys()
              const all = store.getAll()
              all.addEventListener('error', () => reject(all.error))
              all.addEventListener('success', () => {
                opening.result.close()
                resolve(keys.result.map((key, i) => [String(key), JSON.stringify(all.result[i])]))
              })
            })
          }),
        [databaseName, storeName] as const,
      )
      for (const [key, entry] of entries) if (!key.startsWith('gpu ')) known.set(key, entry)
    },
  }
}
