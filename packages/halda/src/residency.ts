/**
 * Which layers stay in memory and which stream through slots, when not all of them fit: one rule, by which the planner
 * counts and the devices act.
 *
 * @module
 */

export type Residency = {
  /** Layers held for good. */
  pinned: readonly number[]
  /** Layers read from the store each time they run, in running order. */
  streamed: readonly number[]
  /** Each as large as the largest streamed layer: one runs while others are read. */
  slots: number
}

/** One runs, one is read. */
const slots = 2

/**
 * Pins as many layers as fit beside the slots, and spreads the streamed ones evenly among them, so that a layer is read
 * while its neighbours run.
 *
 * @param layers in running order, with the bytes that each takes in memory
 * @param budgetBytes for layers alone
 * @returns null when not even the slots fit
 */
export function chooseResidency(
  layers: readonly { layer: number; byteLength: number }[],
  budgetBytes: number,
): Residency | null {
  const totalBytes = layers.reduce((total, { byteLength }) => total + byteLength, 0)
  if (totalBytes <= budgetBytes) return { pinned: layers.map(({ layer }) => layer), streamed: [], slots: 0 }
  const slotBytes = Math.max(...layers.map(({ byteLength }) => byteLength))
  const room = Math.floor((budgetBytes - slots * slotBytes) / slotBytes)
  if (room < 0) return null
  const pinnedCount = Math.min(room, layers.length - 1)
  const streamedCount = layers.length - pinnedCount
  const streams = (i: number) =>
    Math.floor(((i + 1) * streamedCount) / layers.length) > Math.floor((i * streamedCount) / layers.length)
  return {
    pinned: layers.filter((_, i) => !streams(i)).map(({ layer }) => layer),
    streamed: layers.filter((_, i) => streams(i)).map(({ layer }) => layer),
    slots,
  }
}
