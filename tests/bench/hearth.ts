/**
 * Hearth in a tab of its own.
 *
 * @module
 */
import type { Browser } from 'playwright'
import { inWorker } from '../browser/in-worker.ts'
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
  const detail = await inWorker<string>(page, script, 'load', url, threads)
  return {
    name: 'hearth',
    detail,
    answer: (promptTokens, genTokens) =>
      inWorker<AnswerTimes>(page, script, 'answer', promptTokens, genTokens),
    roofline: () => inWorker(page, script, 'roofline'),
    decodeBehind: (context, genTokens) => inWorker(page, script, 'decodeBehind', context, genTokens),
    close: () => page.close(),
  }
}
