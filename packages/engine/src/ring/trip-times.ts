/**
 * How many guesses should go behind a token, by what trips really take: where weights are read from a disk or hops are long,
 * more rows cost next to nothing; where a processor is busy with one row, four take three times as long.
 *
 * @module
 */
import { median } from '../median.ts'

/** So many guesses go behind a token: kernels take rows in fours. */
const lengths = [3, 7] as const
export const longestDraft = 7
/** With fewer guesses that come true, what longer trips take is not found out. */
const leastLikelihood = 0.5
/** Better by so much, or not at all: measured times are rough. */
const margin = 1.05
const keptTimes = 5
/** After so many trips of one token what others take is found out again: machines get slower and faster. */
const patienceTrips = 128

/** What a trip with so many rows takes, in ms; null where none is known. */
export type TripMs = (rows: number) => number | null

export interface TripTimes {
  note(rows: number, ms: number): void
  readonly tripMs: TripMs
}

/** The medians of the last few. */
export function createTripTimes(): TripTimes {
  const times = new Map<number, number[]>()
  let tripsOfOne = 0
  return {
    note(rows, ms) {
      tripsOfOne = rows === 1 ? tripsOfOne + 1 : 0
      if (tripsOfOne === patienceTrips) {
        tripsOfOne = 0
        times.clear()
      }
      times.set(rows, [...(times.get(rows) ?? []), ms].slice(-keptTimes))
    },
    tripMs(rows) {
      const known = times.get(rows)
      return known ? median(known) : null
    },
  }
}

/**
 * The number of guesses that gives most tokens in a time, n of which are expected to give (1 − p^(n+1)) / (1 − p) tokens
 * (arXiv 2211.17192, equation 1). A length whose time is not known is tried once the next shorter one pays.
 *
 * @param likelihood p, of a guess to come true if those before it did; below 1
 * @param most guesses that may go
 * @returns 0 where a token alone does better
 */
export function draftLength(likelihood: number, most: number, tripMs: TripMs): number {
  const perTrip = (guesses: number) => (1 - likelihood ** (guesses + 1)) / (1 - likelihood)
  const aloneMs = tripMs(1)
  if (aloneMs === null) return 0
  let best = 0
  let bestRate = margin / aloneMs
  for (const [i, length] of lengths.entries()) {
    if (length > most) break
    const ms = tripMs(length + 1)
    if (ms === null) {
      const shorterPays = best === (lengths[i - 1] ?? 0)
      return shorterPays && likelihood >= leastLikelihood ? length : best
    }
    if (perTrip(length) / ms <= bestRate) continue
    best = length
    bestRate = perTrip(length) / ms
  }
  return best
}
