/**
 * How a backend wants a matrix laid out, so that weights are repacked once, on download, and read afterwards straight
 * from disk into place.
 *
 * A matrix W (rows, cols) is packed in groups of `rowGroup` consecutive rows; every group has the same size and depends
 * on its own rows only. So a download can be packed as it arrives, resumed at a group, and split over threads.
 *
 * @module
 */
import type { WeightType } from './quant.ts'

export interface Packing {
  /** Part of the store's key: bytes packed in another way are fetched again. Change it when the layout changes. */
  readonly name: string
  readonly rowGroup: number
  /** Packed bytes of one group of `rowGroup` rows. */
  groupBytes(type: WeightType, cols: number): number
  /**
   * Packs one group.
   *
   * @param source `rows` rows as GGUF stores them; `rows` ≤ rowGroup, fewer only at the end of a matrix, where the
   *   missing rows are packed as zeros
   * @param out exactly `groupBytes(type, cols)` bytes
   */
  packGroup(type: WeightType, cols: number, rows: number, source: Uint8Array, out: Uint8Array): void
}
