/**
 * A figure beside what was wanted of it.
 *
 * @module
 */
export type Verdict = {
  what: string
  value: number
  bound: 'at least' | 'at most'
  limit: number
  holds: boolean
}

export const atLeast = (what: string, value: number, limit: number): Verdict => ({
  what,
  value,
  limit,
  bound: 'at least',
  holds: value >= limit,
})

export const atMost = (what: string, value: number, limit: number): Verdict => ({
  what,
  value,
  limit,
  bound: 'at most',
  holds: value <= limit,
})
