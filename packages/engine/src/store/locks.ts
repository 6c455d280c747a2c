/**
 * One at a time, by name, within one process: what Web Locks do across the tabs of a browser.
 *
 * @module
 */
import { abortable } from './abort.ts'

export type Exclusive = <T>(key: string, body: () => Promise<T>, signal?: AbortSignal) => Promise<T>

export function createLocks(): Exclusive {
  /** Settles once all who asked for the key so far are done. */
  const lines = new Map<string, Promise<void>>()
  return async (key, body, signal) => {
    const before = lines.get(key) ?? Promise.resolve()
    let done = () => {}
    const mine = new Promise<void>((resolve) => (done = resolve))
    const line = before.then(() => mine)
    lines.set(key, line)
    try {
      await abortable(before, signal)
      return await body()
    } finally {
      done()
      if (lines.get(key) === line) lines.delete(key)
    }
  }
}
