/**
 * Weights that are in memory only while they are used: the seam between the forward pass and who reads them.
 *
 * Implementation: worker/read-ahead.ts.
 *
 * @module
 */
import type { Region } from '../backend/backend.ts'

export interface WeightStream {
  /**
   * All packed bytes of a unit (a layer, or a piece of the output), at the beginning of a region that stays as it is
   * until `release`.
   */
  acquire(unit: number): Promise<Region>
  release(unit: number): void
}
