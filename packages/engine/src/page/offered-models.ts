/**
 * The models that the server offers.
 *
 * @module
 */
import * as v from 'valibot'
import { EngineError, toEngineError } from '../errors.ts'
import type { OfferedModel } from './cluster.ts'

const OfferedModels = v.array(
  v.object({ name: v.string(), url: v.string(), sizeBytes: v.number(), revision: v.string() }),
)

/** @throws EngineError 'model-unreachable' */
export async function fetchOfferedModels(origin: string): Promise<OfferedModel[]> {
  try {
    const response = await fetch(`${origin}/models`)
    if (!response.ok) throw new Error(`it answered ${response.status}`)
    return v.parse(OfferedModels, await response.json())
  } catch (thrown) {
    const why = toEngineError(thrown).message
    throw new EngineError(
      'model-unreachable',
      `The server did not list its models (${why}). Is it still running?`,
    )
  }
}
