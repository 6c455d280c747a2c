/**
 * The WASM backend where it will run, beside its judge.
 *
 * @module
 */
import { cases, titleOf, type Case } from '../../../packages/engine/src/backend/contract-cases.ts'
import { perform } from '../../../packages/engine/src/backend/contract-perform.ts'
import { createReferenceBackend } from '../../../packages/engine/src/backend/reference.ts'
import { createWebHost } from '../../../packages/engine/src/backend/wasm-host-web.ts'
import { arithmetics, type Arithmetic } from '../../../packages/engine/src/backend/wasm-kernels.ts'
import { createWasmBackend } from '../../../packages/engine/src/backend/wasm.ts'
import { nmse } from '../../../packages/engine/src/testing/nmse.ts'
import { serve } from './served.ts'

export type Verdict = { detail: string; cases: number; failures: string[] }

/** What the reference says, worked out once for all that are judged here. */
const answers = new Map<Case, Float32Array>()

serve({
  arithmetics: () => arithmetics,

  async judge(arithmetic: Arithmetic, threads: number): Promise<Verdict> {
    const judge = await createReferenceBackend()
    const backend = await createWasmBackend(createWebHost(), { arithmetic, threads })
    const failures: string[] = []
    for (const testCase of cases) {
      const want = answers.get(testCase) ?? perform(judge, testCase)
      answers.set(testCase, want)
      const error = nmse(perform(backend, testCase), want)
      // Written so that NaN fails.
      if (!(error <= testCase.maxNmse)) failures.push(`${titleOf(testCase)}: NMSE ${error}`)
    }
    backend.close()
    return { detail: backend.detail, cases: cases.length, failures }
  },
})
