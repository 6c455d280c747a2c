/**
 * How long a piece of work takes once it runs as fast as it will.
 *
 * A browser's first compiler is quick to compile and slow to run; its second one takes over while the work goes on
 * (Chromium 156: kernels run twice as fast after some 100 ms). So work is timed in rounds until a round is no faster
 * than the best before it.
 *
 * @module
 */
import { breathe } from '../../breathe.ts'
import { median } from '../../median.ts'

const roundMs = 20
/** What a round must gain for another to follow. */
const gain = 0.03
/** All measurements together may take a few seconds, on slow devices too. */
const mostMs = 125

/** Yields between rounds, so that the worker still hears. @returns the lowest of the rounds' medians */
export async function steadyTimeMs(work: () => void): Promise<number> {
  const startMs = performance.now()
  let best = Infinity
  // The first round is a warm-up, and says nothing of the second.
  for (let round = 0; ; round++) {
    const ms = roundMedianMs(work)
    await breathe()
    const hasGained = ms < best * (1 - gain)
    best = Math.min(best, ms)
    const isOver = performance.now() - startMs > mostMs
    if ((round > 1 && !hasGained) || (round > 0 && isOver)) return best
  }
}

function roundMedianMs(work: () => void): number {
  const timesMs: number[] = []
  const startMs = performance.now()
  let nowMs = startMs
  do {
    work()
    const afterMs = performance.now()
    timesMs.push(afterMs - nowMs)
    nowMs = afterMs
  } while (nowMs - startMs < roundMs)
  return median(timesMs)
}
