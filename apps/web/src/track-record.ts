/**
 * What answers really took, beside what was predicted: the last few that this device asked for with the present plan.
 *
 * @module
 */
import type { GenerateStats } from './cluster.ts'

/** Times per token of shorter answers say little. */
const leastTokens = 8
const keptAnswers = 5

export type TrackRecord = {
  /** Plan that the answers were given with. */
  plan: number
  /** Mean time per token of each answer, the oldest first. */
  tpotMs: readonly number[]
}

/** The record after one more answer. Trips with guesses say nothing: what is predicted is one of a token alone. */
export function recordAfter(
  record: TrackRecord | null,
  plan: number,
  { tripMs, outputTokens }: GenerateStats,
): TrackRecord | null {
  if (outputTokens < leastTokens || tripMs === 0) return record
  const before = record?.plan === plan ? record.tpotMs : []
  return { plan, tpotMs: [...before, tripMs].slice(-keptAnswers) }
}

/** @returns null without an answer that this plan gave */
export function measuredMs(record: TrackRecord | null, plan: number | undefined): number | null {
  if (record === null || record.plan !== plan) return null
  const sorted = record.tpotMs.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? null
}
