/**
 * What is written behind options on the command line, read; what makes no sense is refused in a sentence.
 *
 * @module
 */

/** @throws RangeError for anything but a whole number within the bounds */
export function count(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value
  throw new RangeError(`--${name} takes a whole number from ${least} to ${most}, not "${text}"`)
}

/** @throws RangeError for anything but sizes such as 512MB or 1.5GB, with commas between them */
export function sizes(name: string, text: string): number[] {
  return text.split(',').map((size) => {
    const match = /^(\d+(?:\.\d+)?)\s*(MB|GB)$/i.exec(size.trim())
    if (match) return Number(match[1]) * (match[2]!.toUpperCase() === 'GB' ? 1e9 : 1e6)
    throw new RangeError(`--${name} takes sizes such as 512MB or 1.5GB, not "${size}"`)
  })
}

/** @throws RangeError for anything but a number within the bounds */
export function number(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= least && value <= most) return value
  throw new RangeError(`--${name} takes a number from ${least} to ${most}, not "${text}"`)
}

/** @throws RangeError that lists the choices */
export function oneOf<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((known) => known === text)
  if (choice !== undefined) return choice
  throw new RangeError(`--${name} takes ${choices.join(' or ')}, not "${text}"`)
}

/** All of `known` when nothing was written. @throws RangeError for words that are not known */
export function someOf<T extends string>(name: string, text: string | undefined, known: readonly T[]): T[] {
  return text === undefined ? [...known] : text.split(',').map((word) => oneOf(name, word, known))
}

/** @throws RangeError for anything but whole numbers above 0, with commas between them */
export function counts(name: string, text: string): number[] {
  return text.split(',').map((word) => count(name, word, 1, 1_000_000))
}
