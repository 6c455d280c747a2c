/**
 * A tab that takes no part and notices how usable the machine stays: how late a timer is in it.
 *
 * @module
 */
import { chromium } from 'playwright'
import { chromiumArgs, chromiumPath } from '../chromium.ts'

/** How much later than asked the timer fired, while it was watched. */
export type Lateness = { medianMs: number; worstMs: number }

export interface TimerTab {
  /** Forgets what was seen so far. */
  restart(): Promise<void>
  lateness(): Promise<Lateness>
  close(): Promise<void>
}

const intervalMs = 50

declare global {
  interface Window {
    lateMs: number[]
  }
}

/** In a browser of its own. */
export async function openTimerTab(): Promise<TimerTab> {
  // Playwright would end the process at a signal, before a cluster beside this tab is closed.
  const signals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false }
  const browser = await chromium.launch({
    executablePath: await chromiumPath(),
    args: chromiumArgs,
    ...signals,
  })
  const page = await browser.newPage()
  await page.evaluate((intervalMs) => {
    window.lateMs = []
    let lastMs = performance.now()
    setInterval(() => {
      const nowMs = performance.now()
      // After a late one the next comes early.
      window.lateMs.push(Math.max(0, nowMs - lastMs - intervalMs))
      lastMs = nowMs
    }, intervalMs)
  }, intervalMs)
  return {
    restart: () => page.evaluate(() => void (window.lateMs = [])),
    async lateness() {
      const lateMs = (await page.evaluate(() => window.lateMs)).sort((a, b) => a - b)
      if (lateMs.length === 0) throw new Error(`The timer of ${intervalMs} ms did not fire once.`)
      return { medianMs: lateMs[lateMs.length >> 1]!, worstMs: lateMs.at(-1)! }
    },
    close: () => browser.close(),
  }
}
