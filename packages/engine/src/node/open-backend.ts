/**
 * The backend that a command's options ask for.
 *
 * @module
 */
import type { Backend } from '../backend/backend.ts'
import { createReferenceBackend } from '../backend/reference.ts'
import { readChoice } from './arguments.ts'

/** Options that every command with arithmetic takes. */
export const backendOptions = { backend: 'text', threads: 'text' } as const

export async function openBackend(values: { backend?: string; threads?: string }): Promise<Backend> {
  readChoice('backend', values.backend, ['reference'])
  return createReferenceBackend()
}
