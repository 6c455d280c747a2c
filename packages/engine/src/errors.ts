/**
 * What can go wrong, as codes for programs and sentences for people.
 *
 * A sentence says what, how much and what next. What is expected is a value; what is a bug throws.
 *
 * @module
 */

export const errorCodes = [
  'not-gguf',
  'unsupported-model',
  'model-changed',
  'model-truncated',
  'model-unreachable',
  'no-ranges',
  'shard-corrupt',
  'storage-full',
  'storage-unavailable',
  'insecure-context',
  'webrtc-blocked',
  'no-room',
  'room-full',
  'version',
  'malformed',
  'no-plan',
  'not-ready',
  'link-lost',
  'device-left',
  'kv-lost',
  'context-full',
  'out-of-memory',
  'gpu-refused',
  'gpu-lost',
  'gpu-full',
  'aborted',
  'bug',
] as const

export type ErrorCode = (typeof errorCodes)[number]

/** An error that a person may read. `message` is the whole sentence. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** Any thrown value as an {@link EngineError}; what is not one already is a bug and says so. */
export function toEngineError(thrown: unknown): EngineError {
  if (thrown instanceof EngineError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new EngineError('bug', `Something went wrong inside Hearth: ${message}`, { cause: thrown })
}
