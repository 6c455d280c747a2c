/**
 * Golden data that lies beside the project, in ../shared; a test that needs it is skipped where it is absent.
 *
 * @module
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = new URL('../../../../../shared/', import.meta.url)

export const hasSharedFiles = existsSync(new URL('golden', folder))

/** Said by tests that are skipped. */
export const noSharedFiles = 'skipped, there is no ../shared with golden data'

/** Path on disk, e.g. of 'golden/models/llama-F32.gguf'. */
export const sharedPath = (name: string): string => fileURLToPath(new URL(name, folder))

/** A JSON file; its shape is the caller's claim. */
export const sharedJson = <T>(name: string): T => JSON.parse(readFileSync(sharedPath(name), 'utf8')) as T
