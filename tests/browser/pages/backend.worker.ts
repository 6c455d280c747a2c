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
import { createMeasuredBackend } from '../../../packages/engine/src/backend/wasm-thread-count.ts'
import { createWasmBackend } from '../../../packages/engine/src/backend/wasm.ts'
import { nmse } from '../../../packages/engine/src/testing/nmse.ts'
import { serve } from './served.ts'

export type Verdict = { detail: string; arenas: number; cases: number; failures: string[] }

/** What the reference says, worked out once for all that are judged here. */
const answers = new Map<Case, Float32Array>()

serve({
  arithmetics: () => arithmetics,

  /** With `apart`, weights find no room in the first arena. */
  async judge(arithmetic: Arithmetic, threads: number, apart: boolean): Promise<Verdict> {
    const judge = await createReferenceBackend()
    const arenaBytes = apart ? 2 ** 24 : 2 ** 32
    const backend = await createWasmBackend(createWebHost(), { arithmetic, threads, arenaBytes })
    const near = backend.region(apart ? arenaBytes / 2 - 2 ** 18 : 64)
    const far = backend.region(2 ** 18)
    const arenas = new Set([near, far].map((region) => region.bytes().buffer)).size
    far.free()
    const failures: string[] = []
    for (const testCase of cases) {
      const want = answers.get(testCase) ?? perform(judge, testCase)
      answers.set(testCase, want)
      const error = nmse(perform(backend, testCase), want)
      // Written so that NaN fails.
      if (!(error <= testCase.maxNmse)) failures.push(`${titleOf(testCase)}: NMSE ${error}`)
    }
    backend.close()
    return { detail: backend.detail, arenas, cases: cases.length, failures }
  },

  async measureThreads(): Promise<{ threads: number; ms: number; memoryBytes: number }> {
    const startMs = performance.now()
    const backend = await createMeasuredBackend(createWebHost(), { maxThreads: 2 })
    const ms = performance.now() - startMs
    const { threads } = backend
    const memoryBytes = backend.memoryBytes()
    backend.close()
    return { threads, ms, memoryBytes }
  },
})
