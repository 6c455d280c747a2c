/**
 * The backend that a command's options ask for.
 *
 * @module
 */
import { availableParallelism } from 'node:os'
import type { Backend } from '../backend/backend.ts'
import { createReferenceBackend } from '../backend/reference.ts'
import { createMeasuredBackend } from '../backend/wasm-thread-count.ts'
import { createWasmBackend, type WasmBackend } from '../backend/wasm.ts'
import { EngineError } from '../errors.ts'
import { readChoice, readInteger } from './arguments.ts'
import { createNodeHost } from './wasm-host.ts'

/** Options that every command with arithmetic takes. */
export const backendOptions = { backend: 'text', threads: 'text' } as const

const maxThreads = 64

/**
 * @returns the fast one with as many threads as help, unless told otherwise
 * @throws UsageError; EngineError of {@link createWasmBackend}
 */
export async function openBackend(values: { backend?: string; threads?: string }): Promise<Backend> {
  const kind = readChoice('backend', values.backend, ['wasm', 'reference'])
  const threads = readThreads(values.threads)
  return kind === 'reference' ? createReferenceBackend() : openWasmBackend(threads)
}

/** @returns null to have them measured. @throws UsageError */
export function readThreads(text: string | undefined): number | null {
  return text === undefined ? null : readInteger('threads', text, { absent: 1, min: 1, max: maxThreads })
}

/** @throws EngineError of {@link createWasmBackend}; 'not-ready' when the kernels are not built */
export async function openWasmBackend(threads: number | null): Promise<WasmBackend> {
  const host = createNodeHost()
  try {
    if (threads !== null) return await createWasmBackend(host, { threads })
    return await createMeasuredBackend(host, { maxThreads: Math.min(availableParallelism(), maxThreads) })
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown
    throw new EngineError(
      'not-ready',
      'The WASM kernels are not built yet. Run npm run build:kernels, or add --backend reference.',
      { cause: thrown },
    )
  }
}
