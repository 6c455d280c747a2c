import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Backend } from '../backend/backend.ts'
import { createReferenceBackend } from '../backend/reference.ts'
import { chooseArithmetic, type Arithmetic } from '../backend/wasm-kernels.ts'
import { createWasmBackend } from '../backend/wasm.ts'
import { createFileSource } from '../node/file-source.ts'
import { createNodeHost } from '../node/wasm-host.ts'
import { loadModel, type LoadedModel } from '../node/load-model.ts'
import {
  divergence,
  greedyTokens,
  nextProbabilities,
  type Golden,
  type GoldenCase,
} from '../testing/golden-model.ts'
import { hasSharedFiles, noSharedFiles, sharedJson, sharedPath } from '../testing/shared-files.ts'

const names = [
  'llama-F32',
  'llama-f16',
  'llama-Q8_0',
  'llama-Q4_0',
  'llama-Q4_K_M',
  'llama-Q6_K',
  'llama3-Q8_0',
  'qwen2-Q8_0',
]

type Contender = {
  name: string
  create: () => Promise<Backend>
  maxDivergence: number
  /** Where a token wins by less, another one may win by rounding. */
  clearMargin: number
  /** Greedy tokens compared; the reference takes its time. */
  mostTokens: number
}

const host = createNodeHost()

/** Rounding activations to int8 costs llama.cpp itself up to 0.015 on these files (golden/README.md). */
const wasm = (arithmetic: Arithmetic, threads: number): Contender => ({
  name: `wasm, ${arithmetic}, ${threads} threads`,
  create: () => createWasmBackend(host, { arithmetic, threads }),
  maxDivergence: 0.02,
  clearMargin: 0.02,
  mostTokens: 16,
})

/** Room for a layer or two, then everything goes into a second arena. */
const inTwoArenas = (contender: Contender, threads: number): Contender => ({
  ...contender,
  name: `${contender.name}, two arenas`,
  async create() {
    const arenaBytes = 64 * 2 ** 20
    const backend = await createWasmBackend(host, { threads, arenaBytes })
    backend.region(arenaBytes / 2 - 3 * 2 ** 19)
    return backend
  },
})

const contenders: Contender[] = [
  {
    name: 'reference',
    create: () => createReferenceBackend(),
    maxDivergence: 1e-3,
    clearMargin: 2e-3,
    mostTokens: 4,
  },
  wasm(chooseArithmetic(), 1),
  wasm(chooseArithmetic(), 2),
  inTwoArenas(wasm(chooseArithmetic(), 2), 2),
  // what nearly every browser can run, and what the others can
  wasm('simd', 1),
  wasm('scalar', 1),
]

/** The greedy tokens up to the first that does not win clearly. */
function clearTokens({ greedy, margins }: GoldenCase, { clearMargin, mostTokens }: Contender): number[] {
  const unclear = margins.findIndex((margin) => margin < clearMargin)
  return greedy.slice(0, Math.min(mostTokens, unclear < 0 ? greedy.length : unclear))
}

describe.each(contenders)('$name agrees with llama.cpp on', (contender) => {
  const { name: backendName, create, maxDivergence } = contender
  const found: string[] = []
  afterAll(() => {
    if (found.length > 0) console.info(`${backendName}: KL ${found.join(' · ')}`)
  })
  describe.each(names)(hasSharedFiles ? '%s' : `%s: ${noSharedFiles}`, (name) => {
    describe.skipIf(!hasSharedFiles)('the golden model', () => {
      let backend: Backend
      let model: LoadedModel
      const { exact } = hasSharedFiles ? sharedJson<Golden>(`golden/models/${name}.json`) : { exact: [] }
      beforeAll(async () => {
        backend = await create()
        model = await loadModel(createFileSource(sharedPath(`golden/models/${name}.gguf`)), backend)
      })
      afterAll(() => backend.close())

      test(`what comes next, within KL ${maxDivergence}`, async () => {
        for (const { tokens, top } of exact) {
          const kl = divergence(top, await nextProbabilities(model, tokens))
          found.push(`${name} ${kl.toExponential(1)}`)
          expect(Math.abs(kl)).toBeLessThanOrEqual(maxDivergence)
        }
      })

      const clear = exact.map((golden) => clearTokens(golden, contender))
      const anyClear = clear.some((tokens) => tokens.length > 0)
      test.skipIf(!anyClear)(`greedy tokens${anyClear ? '' : ': skipped, none wins clearly'}`, async () => {
        for (const [i, { tokens }] of exact.entries()) {
          expect(await greedyTokens(model, tokens, clear[i]!.length)).toEqual(clear[i])
        }
      })
    })
  })
})
