/**
 * What stays in memory and what streams through slots, when not all of a device's part fits: one rule, by which the
 * planner counts and the devices act.
 *
 * A part is a list of units in running order: the device's layers, then, on the head, the pieces of the output matrix
 * ({@link outputPieceCount}). The head's embedding is no unit: a token needs one row of it, which is read by itself.
 *
 * @module
 */

export type Residency<Unit> = {
  /** Held for good, in running order. */
  pinned: readonly Unit[]
  /** Read from the store each time they run, in running order. */
  streamed: readonly Unit[]
  /** One unit runs while others are read. 0 when nothing streams. */
  slots: number
  /** Of each slot: as large as the largest streamed unit. */
  slotBytes: number
  /** Whether the embedding is held whole; else it is read row by row. */
  holdsEmbedding: boolean
}

/** One runs, one is read. */
export const leastSlots = 2

/** Until conversations need it, units are pinned in the room of their KV cache; they give it back in so many steps. */
export const kvSteps = 8

/**
 * Pins as many units as fit beside the slots, and spreads the streamed ones evenly among them, so that a unit is read
 * while its neighbours run. The embedding is held only when everything fits.
 *
 * @param units in running order, with the bytes that each takes in memory
 * @param budgetBytes for units and embedding alone
 * @param embeddingBytes of the head's embedding; 0 on other devices, and where the output is tied to it: then the pieces
 *   of the output are the embedding's rows
 * @returns null when not even the slots fit
 */
export function chooseResidency<Unit extends { readonly byteLength: number }>(
  units: readonly Unit[],
  budgetBytes: number,
  embeddingBytes = 0,
): Residency<Unit> | null {
  const totalBytes = sumBytes(units)
  if (totalBytes <= budgetBytes) {
    const holdsEmbedding = totalBytes + embeddingBytes <= budgetBytes
    return { pinned: units, streamed: [], slots: 0, slotBytes: 0, holdsEmbedding }
  }
  // So many stream at least, even if all were as large as the largest.
  const missing = leastSlots + Math.ceil((totalBytes - budgetBytes) / largestBytes(units))
  for (let count = missing; count <= units.length; count++) {
    const pinned = units.filter((_, i) => !isOneOf(count, units.length, i))
    const streamed = units.filter((_, i) => isOneOf(count, units.length, i))
    const slotBytes = largestBytes(streamed)
    if (sumBytes(pinned) + leastSlots * slotBytes > budgetBytes) continue
    return { pinned, streamed, slots: leastSlots, slotBytes, holdsEmbedding: embeddingBytes === 0 }
  }
  return null
}

/** Whether `i` is one of `count` that are spread evenly over `length`. */
export const isOneOf = (count: number, length: number, i: number): boolean =>
  Math.floor(((i + 1) * count) / length) > Math.floor((i * count) / length)

/** With this budget {@link chooseResidency} has an answer. */
export const leastResidentBytes = (units: readonly { readonly byteLength: number }[]): number =>
  Math.min(sumBytes(units), leastSlots * largestBytes(units))

/** In how many pieces of about equal size the output matrix runs: none is larger than the largest layer of the model. */
export const outputPieceCount = (outputBytes: number, largestLayerBytes: number): number =>
  Math.max(1, Math.ceil(outputBytes / largestLayerBytes))

export const sumBytes = (units: readonly { readonly byteLength: number }[]) =>
  units.reduce((total, { byteLength }) => total + byteLength, 0)

export const largestBytes = (units: readonly { readonly byteLength: number }[]) =>
  units.reduce((most, { byteLength }) => Math.max(most, byteLength), 0)
