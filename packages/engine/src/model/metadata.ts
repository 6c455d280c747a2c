/**
 * Reads a stranger's metadata with bounds: what is missing, of the wrong kind or out of range is refused by name.
 *
 * @module
 */
import { EngineError } from '../errors.ts'

type Bounds = { min: number; max: number; absent?: number }

/** Readers of the keys that begin with the architecture's name. @throws EngineError 'unsupported-model', each of them */
export function metadataReader(metadata: Readonly<Record<string, unknown>>, architecture: string) {
  const number = (name: string, { min, max, absent }: Bounds): number => {
    const key = `${architecture}.${name}`
    const value = metadata[key] ?? absent
    if (typeof value === 'number' && value >= min && value <= max) return value
    throw unsupported(key, metadata[key], `a number from ${min} to ${max}`)
  }
  return {
    number,
    integer(name: string, bounds: Bounds): number {
      const value = number(name, bounds)
      if (Number.isInteger(value)) return value
      throw unsupported(`${architecture}.${name}`, value, 'a whole number')
    },
    string(name: string, absent: string): string {
      const key = `${architecture}.${name}`
      const value = metadata[key] ?? absent
      if (typeof value === 'string') return value
      throw unsupported(key, value, 'a text')
    },
  }
}

function unsupported(key: string, found: unknown, wanted: string): EngineError {
  const said = found === undefined ? 'is missing' : `is ${quote(found)}`
  return new EngineError(
    'unsupported-model',
    `The model's ${key} ${said}; Hearth needs ${wanted}. Choose another version of the model.`,
  )
}

/** A stranger's value, short enough for a sentence. */
export function quote(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
