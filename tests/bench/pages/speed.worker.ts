/**
 * Hearth's engine as a tab runs it: kernels and threads under a dedicated worker, weights fetched by ranges.
 *
 * @module
 */
import { createWebHost } from '../../../packages/engine/src/backend/wasm-host-web.ts'
import { createWasmBackend, type WasmBackend } from '../../../packages/engine/src/backend/wasm.ts'
import { createTokenizer } from '../../../packages/engine/src/model/tokenizer.ts'
import { loadModel, type LoadedModel } from '../../../packages/engine/src/node/load-model.ts'
import {
  benchPrompt,
  type BenchSession,
  timeAnswer,
  timeRead,
  weightBytesPerToken,
} from '../../../packages/engine/src/node/measure-speed.ts'
import { createUrlSource } from '../../../packages/engine/src/store/url-source.ts'
import { serve } from '../../browser/pages/served.ts'

let backend: WasmBackend
let model: LoadedModel
let attentionMs = 0
const sessions = new Map<number, BenchSession>()

const promptOf = (tokens: number) =>
  createTokenizer(model.header).encode(benchPrompt(tokens), { special: false })

export type DecodeTimes = { tokenMs: number[]; attentionMsPerToken: number }

serve({
  async load(url: string, threads: number): Promise<string> {
    backend = await createWasmBackend(createWebHost(), { threads })
    const attention: WasmBackend['attention'] = (...args) => {
      const startMs = performance.now()
      backend.attention(...args)
      attentionMs += performance.now() - startMs
    }
    model = await loadModel(createUrlSource(url), { ...backend, attention })
    return backend.detail
  },
  answer: (promptTokens: number, genTokens: number) => timeAnswer(model, promptOf(promptTokens), genTokens),

  /** Decodes behind `context` tokens, which are read on the first call and kept. */
  async decodeBehind(context: number, genTokens: number): Promise<DecodeTimes> {
    const session = sessions.get(context) ?? { session: context, cached: [] }
    const isFirst = session.cached.length === 0
    sessions.set(context, session)
    if (isFirst) await timeAnswer(model, promptOf(context), 0, session)
    attentionMs = 0
    const { tokenMs } = await timeAnswer(model, promptOf(context), genTokens, session)
    // the last token of the prompt runs again, for its logits
    return { tokenMs, attentionMsPerToken: attentionMs / (genTokens + 1) }
  },

  roofline: () => ({
    weightBytesPerToken: weightBytesPerToken(model),
    readBytesPerSec: timeRead(backend, model),
  }),
})
