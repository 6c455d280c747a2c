/**
 * How many rows of a prompt a device should run at once.
 *
 * Each run reads what streams once, so a run should have as many rows as it takes to compute for as long as the reading
 * takes; more would only keep the next device waiting. Both times are measured as prompts are run.
 *
 * @module
 */

/** Of one token alone other costs than computing are most; fewer rows may be guesses, which cost more each than a prompt's. */
const leastRows = 12

export interface PromptChunk {
  /** Takes note of a run. @param computeMs without waiting for weights */
  noteRun(rows: number, layers: number, computeMs: number): void
  /**
   * @param readMs of what streams in all of the device's layers
   * @returns 1 when nothing streams; Infinity until a prompt has been run
   */
  rowsToCover(readMs: number, layers: number): number
}

export function createPromptChunk(): PromptChunk {
  /** One row through one layer, when there were several rows. */
  let rowMs = 0
  return {
    noteRun(rows, layers, computeMs) {
      if (rows >= leastRows) rowMs = computeMs / (rows * layers)
    },
    rowsToCover(readMs, layers) {
      if (readMs === 0) return 1
      return rowMs === 0 ? Infinity : Math.max(1, Math.ceil(readMs / (rowMs * layers)))
    },
  }
}
