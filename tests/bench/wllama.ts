/**
 * wllama, llama.cpp in WebAssembly, in a tab of its own: on the CPU, its prompt cache off.
 *
 * @module
 */
import { pathToFileURL } from 'node:url'
import type { Browser } from 'playwright'
import { benchPrompt } from '../../packages/engine/src/node/measure-speed.ts'
import type { AnswerTimes, Contender, Setup } from './contender.ts'
import { peerPath } from './peers.ts'
import { viteUrl } from './vite-url.ts'

/** What is used of wllama 3.8.1; the package is not there when types are checked. */
type Wllama = {
  loadModel(files: Blob[], options: Record<string, unknown>): Promise<void>
  getNumThreads(): number
  createCompletion(options: Record<string, unknown>): Promise<AsyncIterable<Chunk>>
}
/** Its own clock: from the first prompt token to the first token, and from that to the latest. */
type Chunk = { timings?: { prompt_n: number; prompt_ms: number; predicted_n: number; predicted_ms: number } }
type WllamaModule = {
  Wllama: new (paths: { default: string }, options: { suppressNativeLog: boolean }) => Wllama
}

declare global {
  interface Window {
    wllama: Wllama
  }
}

const contextTokens = 2304

export async function openWllama(
  browser: Browser,
  pagesUrl: string,
  { url, threads }: Setup,
): Promise<Contender> {
  const page = await browser.newPage()
  await page.goto(pagesUrl)
  const folder = viteUrl(new URL('esm/', `${pathToFileURL(peerPath('@wllama/wllama')).href}/`))
  const used = await page.evaluate(
    async ([folder, url, threads, contextTokens]) => {
      const { Wllama } = (await import(/* @vite-ignore */ `${folder}index.js`)) as WllamaModule
      window.wllama = new Wllama({ default: `${folder}wasm/wllama.wasm` }, { suppressNativeLog: true })
      const file = await (await fetch(url)).blob()
      const cpuOnly = {
        n_gpu_layers: 0,
        n_threads: threads,
        n_ctx: contextTokens,
        n_parallel: 1,
        warmup: false,
      }
      await window.wllama.loadModel([file], cpuOnly)
      return window.wllama.getNumThreads()
    },
    [folder, url, threads, contextTokens] as const,
  )
  return {
    name: 'wllama',
    detail: `wllama, ${used === 1 ? 'one thread' : `${used} threads`}`,
    async answer(promptTokens, genTokens) {
      const prompt = benchPrompt(promptTokens)
      const chunks = await page.evaluate(
        async ([prompt, maxTokens]) => {
          const answer = await window.wllama.createCompletion({
            prompt,
            max_tokens: maxTokens,
            temperature: 0,
            stream: true,
            ignore_eos: true,
            cache_prompt: false,
            timings_per_token: true,
          })
          const chunks: Chunk[] = []
          for await (const chunk of answer) chunks.push(chunk)
          return chunks
        },
        [prompt, genTokens + 1] as const,
      )
      return timesOf(chunks, promptTokens, genTokens)
    },
    close: () => page.close(),
  }
}

/** @throws Error when it did not do what it was asked, so that nothing is compared that differs */
function timesOf(chunks: readonly Chunk[], promptTokens: number, genTokens: number): AnswerTimes {
  const byCount = new Map(chunks.flatMap(({ timings }) => (timings ? [[timings.predicted_n, timings]] : [])))
  const first = byCount.get(1)
  const last = byCount.get(genTokens + 1)
  if (first?.prompt_n !== promptTokens || !last) {
    const counts = [...byCount.keys()].join(', ')
    throw new Error(
      `wllama read ${first?.prompt_n} of ${promptTokens} tokens and told the times of tokens ${counts}`,
    )
  }
  const tokenMs = Array.from({ length: genTokens }, (_, i) => {
    const [before, after] = [byCount.get(i + 1), byCount.get(i + 2)]
    // The times of two tokens may come together.
    return before && after ? after.predicted_ms - before.predicted_ms : last.predicted_ms / genTokens
  })
  return { prefillMs: first.prompt_ms, tokenMs }
}
