/**
 * What can go wrong with a URL, in sentences.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { ModelVersion } from './range-response.ts'

export function noRanges(url: string, how: string): EngineError {
  return new EngineError(
    'no-ranges',
    `The server of ${url} does not answer range requests: ${how}. Each device must be able to fetch its own layers alone; put the file on a server that sends "206 Partial Content", or into this server's models folder.`,
  )
}

export function refused(url: string, status: number): EngineError {
  const why =
    status === 404 || status === 410
      ? 'there is no such file; check the address'
      : status === 401 || status === 403
        ? 'it asks for a login that Hearth does not have; choose a model that is open to everybody'
        : 'it refuses the request'
  return new EngineError('model-unreachable', `The server of ${url} answered with status ${status}: ${why}.`)
}

export function unreachable(url: string, thrown: unknown, at?: number): EngineError {
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  const where = at === undefined ? '' : ` at byte ${at}`
  return new EngineError(
    'model-unreachable',
    `${url} could not be read${where} after several tries (${reason}). Check that this device is online and that the server lets pages of other sites read it (CORS); what arrived so far is kept.`,
    { cause: thrown },
  )
}

export function changed(url: string, expected: ModelVersion, found: ModelVersion): EngineError {
  const name = ({ revision, sizeBytes }: ModelVersion) => `${revision}, ${sizeBytes} bytes`
  return new EngineError(
    'model-changed',
    `The file at ${url} is no longer the one that was chosen (${name(expected)}; now ${name(found)}). Choose the model again, so that all devices read the same version.`,
  )
}

export function truncated(url: string, wanted: number, sizeBytes: number): EngineError {
  return new EngineError(
    'model-truncated',
    `The file at ${url} ends at byte ${sizeBytes}, but ${wanted} bytes are needed: ${wanted - sizeBytes} are missing. It was probably not copied to the end; put it there again.`,
  )
}
