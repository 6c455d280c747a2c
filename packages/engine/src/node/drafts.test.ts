import { expect, test } from 'vitest'
import { createWasmBackend } from '../backend/wasm.ts'
import { createSampler } from '../model/sampler.ts'
import { generate, noDrafts, type DraftCounts } from '../ring/generate.ts'
import { createVolleys } from '../ring/volleys.ts'
import { bytesSource } from '../testing/bytes-source.ts'
import { tinyModel } from '../testing/tiny-model.ts'
import { loadModel } from './load-model.ts'
import { ringOfOne } from './ring-of-one.ts'
import { createNodeHost } from './wasm-host.ts'

const prompt = Array.from({ length: 24 }, (_, i) => 40 + ((i * 7) % 9))
const backend = createWasmBackend(createNodeHost(), { threads: 1 })

test.each([
  ['Q8_0', 0],
  ['Q8_0', 0.4],
  ['Q4_K', 0],
  ['Q4_K', 0.4],
  ['F16', 0.4],
] as const)('guesses change no word over real kernels: %s, temperature %d', async (type, temperature) => {
  const gguf = tinyModel({ nLayers: 3, type, dim: 256, seed: 3 })
  const model = await loadModel(bytesSource(gguf), await backend)
  const volleys = createVolleys(ringOfOne(model), model.head)

  async function answer(counts?: DraftCounts) {
    model.layers.release()
    const tokens: number[] = []
    const loop = generate({
      volleys,
      session: 1,
      prompt,
      cached: [],
      sample: createSampler({ temperature, topP: 0.9, seed: 11 }),
      isEnd: () => false,
      maxTokens: 90,
      contextLength: 200,
      signal: new AbortController().signal,
      ...(counts && { drafts: { always: true, counts } }),
    })
    for await (const token of loop) tokens.push(token)
    return tokens
  }

  const alone = await answer()
  expect(alone).toHaveLength(90)
  const counts = noDrafts()
  expect(await answer(counts)).toEqual(alone)
  // Greedy words of random weights repeat themselves; of those that are drawn few do.
  if (temperature === 0) expect(counts.accepted).toBeGreaterThan(20)
  else expect(counts.accepted).toBeLessThan(counts.drafted)
})
