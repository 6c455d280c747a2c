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
  memoryUse,
  timeAnswer,
  timeRead,
  weightBytesPerToken,
} from '../../../packages/engine/src/node/measure-speed.ts'
import { createUrlSource } from '../../../packages/engine/src/store/url-source.ts'
import { serve } from '../../browser/pages/served.ts'

let backend: WasmBackend
let model: LoadedModel

serve({
  async load(url: string, threads: number): Promise<string> {
    backend = await createWasmBackend(createWebHost(), { threads })
    model = await loadModel(createUrlSource(url), backend)
    return backend.detail
  },
  answer(promptTokens: number, genTokens: number) {
    const prompt = createTokenizer(model.header).encode(benchPrompt(promptTokens), { special: false })
    return timeAnswer(model, prompt, genTokens)
  },
  roofline: () => ({
    weightBytesPerToken: weightBytesPerToken(model),
    readBytesPerSec: timeRead(backend, model),
  }),
  memory: () => memoryUse(backend, model),
})
