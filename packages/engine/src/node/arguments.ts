/**
 * Arguments of the command line, read with bounds.
 *
 * @module
 */
import { parseArgs } from 'node:util'

/** Where a command writes: results, and remarks about them. */
export type Streams = { out(text: string): void; note(text: string): void }

export type Command = {
  usage: string
  /** @throws UsageError for bad arguments; EngineError */
  execute(args: readonly string[], streams: Streams): Promise<void>
}

/** What is wrong with the arguments, as a sentence. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Options by name; one that takes no value says so. */
type Options = Readonly<Record<string, 'text' | 'flag'>>

type Read<T extends Options> = { [K in keyof T]?: T[K] extends 'flag' ? boolean : string }

/** The file and the options of a command. @throws UsageError */
export function readArguments<T extends Options>(
  args: readonly string[],
  options: T,
): { file: string; values: Read<T> } {
  const { values, positionals } = parse(args, options)
  const [file, ...more] = positionals
  if (file === undefined) throw new UsageError('Name a GGUF file.')
  if (more.length > 0) throw new UsageError(`One file is enough; there is also ${more.join(' ')}.`)
  return { file, values: values as Read<T> }
}

function parse(args: readonly string[], options: Options) {
  const entries = Object.entries(options).map(([name, kind]) => {
    return [name, { type: kind === 'flag' ? ('boolean' as const) : ('string' as const) }] as const
  })
  try {
    return parseArgs({ args: [...args], options: Object.fromEntries(entries), allowPositionals: true })
  } catch (thrown) {
    throw new UsageError(thrown instanceof Error ? thrown.message : String(thrown))
  }
}

export function readNumber(
  name: string,
  text: string | undefined,
  { absent, min, max }: { absent: number; min: number; max: number },
): number {
  const value = text === undefined ? absent : text.trim() === '' ? NaN : Number(text)
  if (value >= min && value <= max) return value
  throw new UsageError(`--${name} takes a number from ${min} to ${max}, not ${JSON.stringify(text)}.`)
}

export function readInteger(
  name: string,
  text: string | undefined,
  bounds: { absent: number; min: number; max: number },
): number {
  const value = readNumber(name, text, bounds)
  if (Number.isInteger(value)) return value
  throw new UsageError(`--${name} takes a whole number, not ${text}.`)
}

export function readChoice<T extends string>(
  name: string,
  text: string | undefined,
  choices: readonly [T, ...T[]],
): T {
  const choice = text === undefined ? choices[0] : choices.find((candidate) => candidate === text)
  if (choice !== undefined) return choice
  throw new UsageError(`--${name} takes ${choices.join(' or ')}, not ${JSON.stringify(text)}.`)
}
