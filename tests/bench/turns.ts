/**
 * Taking turns: what is compared is asked in quick alternation, because machines get slower and faster by the minute.
 *
 * @module
 */
import { median } from '../../packages/engine/src/median.ts'

/** So many turns are tried for each that is wanted. */
const patience = 3

/**
 * Asks everybody once in every turn, there and back again so that nobody is always first. The first turn does not count, nor
 * does one in which the circumstances changed.
 *
 * @param circumstances that others may change, in words
 * @returns what each said, turn by turn: (askers, turns), with fewer turns where circumstances changed too often
 * @throws Error when they changed in every turn
 */
export async function takeTurns<T>(
  askers: readonly (() => Promise<T>)[],
  turns: number,
  circumstances: () => Promise<string>,
): Promise<T[][]> {
  const taken: T[][] = []
  for (let turn = 0; taken.length < turns && turn <= patience * turns; turn++) {
    const before = await circumstances()
    const said = await askAll(askers, turn % 2 === 1)
    if (turn > 0 && (await circumstances()) === before) taken.push(said)
  }
  if (taken.length === 0) throw new Error('No turn passed without a change of what is measured.')
  return askers.map((_, i) => taken.map((said) => said[i]!))
}

async function askAll<T>(askers: readonly (() => Promise<T>)[], isBackwards: boolean): Promise<T[]> {
  const order = isBackwards ? askers.toReversed() : askers
  const said: T[] = []
  for (const ask of order) said.push(await ask())
  return isBackwards ? said.toReversed() : said
}

/** Half of all values lie between the two quartiles. */
export type Spread = { median: number; lowerQuartile: number; upperQuartile: number }

/** @param values at least one, in any order */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))]!
  return { median: median(sorted), lowerQuartile: at(0.25), upperQuartile: at(0.75) }
}
