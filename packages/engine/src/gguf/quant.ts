/**
 * The weight types of GGUF that the engine runs, in ggml's spelling: one table, read by everyone who counts bytes.
 *
 * Source: block structs of ggml-common.h; type ids of the GGUF specification.
 *
 * @module
 */

export type WeightType = 'F32' | 'F16' | 'Q8_0' | 'Q4_0' | 'Q5_0' | 'Q4_K' | 'Q5_K' | 'Q6_K'

export type BlockShape = {
  /** Type id in a GGUF tensor table. */
  id: number
  /** Weights per block. */
  weights: number
  /** Bytes per block. */
  bytes: number
}

export const weightTypes: Readonly<Record<WeightType, BlockShape>> = {
  F32: { id: 0, weights: 1, bytes: 4 },
  F16: { id: 1, weights: 1, bytes: 2 },
  Q4_0: { id: 2, weights: 32, bytes: 18 },
  Q5_0: { id: 6, weights: 32, bytes: 22 },
  Q8_0: { id: 8, weights: 32, bytes: 34 },
  Q4_K: { id: 12, weights: 256, bytes: 144 },
  Q5_K: { id: 13, weights: 256, bytes: 176 },
  Q6_K: { id: 14, weights: 256, bytes: 210 },
}

/** Bytes of one row of `cols` weights as GGUF stores it. @throws RangeError when cols is not a whole number of blocks */
export function rowBytes(type: WeightType, cols: number): number {
  const block = weightTypes[type]
  if (cols % block.weights !== 0) {
    throw new RangeError(
      `A ${type} row holds whole blocks of ${block.weights} weights; ${cols} is not a multiple`,
    )
  }
  return (cols / block.weights) * block.bytes
}
