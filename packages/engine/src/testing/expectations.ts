/**
 * Expectations for contracts that run in vitest and in browsers alike.
 *
 * @module
 */
import { EngineError, type ErrorCode } from '../errors.ts'

/** Equal as JSON with sorted keys: enough for records, lists and numbers. */
export function equal(actual: unknown, expected: unknown): void {
  const [a, b] = [canonical(actual), canonical(expected)]
  if (a !== b) throw new Error(`expected ${b.slice(0, 500)}, got ${a.slice(0, 500)}`)
}

const canonical = (value: unknown) =>
  JSON.stringify(value ?? null, (_key, part: unknown) =>
    part && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )

export async function rejects(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  expectCode(
    await work.then(
      () => null,
      (thrown: unknown) => thrown,
    ),
    code,
  )
}

export function throws(body: () => void, code: ErrorCode): void {
  let thrown: unknown = null
  try {
    body()
  } catch (error) {
    thrown = error
  }
  expectCode(thrown, code)
}

function expectCode(thrown: unknown, code: ErrorCode): void {
  if (!(thrown instanceof EngineError) || thrown.code !== code) {
    throw new Error(`expected an EngineError '${code}', got ${String(thrown)}`, { cause: thrown })
  }
}
