/**
 * Why a program gets no answer, in the shape of OpenAI's API: `{ error: { message, type, param, code } }` under a status.
 *
 * @module
 */
import type { AnswerPiece, FailureCode } from './room-state.ts'

export type ApiError = {
  status: 400 | 401 | 404 | 413 | 429 | 500 | 503 | 504
  /** A whole sentence. */
  message: string
  type: 'invalid_request_error' | 'requests' | 'server_error'
  /** Where in the request, as `messages.0.content`. */
  param: string | null
  code: string | null
}

export const errorBody = ({ message, type, param, code }: ApiError) => ({
  error: { message, type, param, code },
})

export const badRequest = (
  message: string,
  code: string | null,
  param: string | null = null,
  status: 400 | 401 | 404 | 413 = 400,
): ApiError => ({ status, message, type: 'invalid_request_error', param, code })

/** The room could not answer, and may a moment later. */
export const notNow = (message: string): ApiError => ({
  status: 503,
  message,
  type: 'server_error',
  param: null,
  code: 'service_unavailable',
})

/** What a client that tries again by itself should know: whether that helps. */
export function errorOf({ code, message }: Extract<AnswerPiece, { type: 'failed' }>): ApiError {
  if (code === 'context-full') return badRequest(message, 'context_length_exceeded', 'messages')
  // The model's own template does not take such a conversation; everything else of a model was checked before.
  if (code === 'malformed' || code === 'unsupported-model') return badRequest(message, null, 'messages')
  if (code === 'busy')
    return { status: 429, message, type: 'requests', param: null, code: 'rate_limit_exceeded' }
  if (code === 'silent') return { ...notNow(message), status: 504, code: 'timeout' }
  if (passing.has(code)) return notNow(message)
  return { status: 500, message, type: 'server_error', param: null, code: null }
}

const passing = new Set<FailureCode>([
  'no-door',
  'carrier-left',
  'not-ready',
  'no-plan',
  'device-left',
  'link-lost',
  'kv-lost',
  'out-of-memory',
  'aborted',
])
