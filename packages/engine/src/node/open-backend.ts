/**
 * The backend that a command's options ask for.
 *
 * @module
 */
import { availableParallelism } from 'node:os'
import type { Backend } from '../backend/backend.ts'
import { createReferenceBackend } from '../backend/reference.ts'
import { createWasmBackend } from '../backend/wasm.ts'
import { EngineError } from '../errors.ts'
import { readChoice, readInteger } from './arguments.ts'
import { createNodeHost } from './wasm-host.ts'

/** Options that every command with arithmetic takes. */
export const backendOptions = { backend: 'text', threads: 'text' } as const

const maxThreads = 64

/**
 * @returns the fast one with a thread for each core, unless told otherwise
 * @throws UsageError; EngineError of {@link createWasmBackend}
 */
export async function openBackend(values: { backend?: string; threads?: string }): Promise<Backend> {
  const kind = readChoice('backend', values.backend, ['wasm', 'reference'])
  const threads = readInteger('threads', values.threads, {
    absent: Math.min(availableParallelism(), maxThreads),
    min: 1,
    max: maxThreads,
  })
  if (kind === 'reference') return createReferenceBackend()
  try {
    return await createWasmBackend(createNodeHost(), { threads })
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown
    throw new EngineError(
      'not-ready',
      'The WASM kernels are not built yet. Run npm run build:kernels, or add --backend reference.',
      { cause: thrown },
    )
  }
}
