/**
 * Giving up on a download.
 *
 * @module
 */
import { EngineError } from '../errors.ts'

export const aborted = () =>
  new EngineError('aborted', 'The download was stopped; what arrived so far is kept.')

/** `work`, given up on as soon as `signal` aborts. @throws EngineError 'aborted' */
export function abortable<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return work
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(aborted())
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
