/**
 * What a page's dedicated workers can do, asked from outside the browser.
 *
 * @module
 */
import type { Page } from 'playwright'

/** Calls `method` of the dedicated worker behind `script` (see pages/served.ts), started on the first call in a page. */
export function inWorker<T>(page: Page, script: string, method: string, ...args: unknown[]): Promise<T> {
  return page.evaluate(({ script, method, args }) => window.callWorker(script, method, args) as Promise<T>, {
    script,
    method,
    args,
  })
}
