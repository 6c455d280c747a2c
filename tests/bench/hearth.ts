/**
 * Hearth in a tab of its own.
 *
 * @module
 */
import type { Browser, Page } from 'playwright'
import type { AnswerTimes, Contender, Setup } from './contender.ts'
import type { DecodeTimes } from './pages/speed.worker.ts'
import { viteUrl } from './vite-url.ts'

const script = viteUrl(new URL('pages/speed.worker.ts', import.meta.url))

export type HearthContender = Contender &
  Required<Pick<Contender, 'roofline'>> & {
    /** Decodes behind `context` tokens, which are read on the first call and kept. */
    decodeBehind(context: number, genTokens: number): Promise<DecodeTimes>
  }

export async function openHearth(
  browser: Browser,
  pagesUrl: string,
  { url, threads }: Setup,
): Promise<HearthContender> {
  const page = await browser.newPage()
  await page.goto(pagesUrl)
  const detail = await call<string>(page, 'load', url, threads)
  return {
    name: 'hearth',
    detail,
    answer: (promptTokens, genTokens) => call<AnswerTimes>(page, 'answer', promptTokens, genTokens),
    roofline: () => call(page, 'roofline'),
    decodeBehind: (context, genTokens) => call(page, 'decodeBehind', context, genTokens),
    close: () => page.close(),
  }
}

function call<T>(page: Page, method: string, ...args: unknown[]): Promise<T> {
  return page.evaluate(([script, method, args]) => window.callWorker(script, method, args), [
    script,
    method,
    args,
  ] as const) as Promise<T>
}
