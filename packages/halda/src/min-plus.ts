/**
 * Layers shared out over devices for the least sum of costs: dynamic programming over the number of layers shared out
 * so far, a min-plus convolution for each device.
 *
 * @module
 */
import type { Column } from './part-table.ts'

/** By layers: what devices take that share them out, and how many the last of them then has. */
export type Allocation = { costNs: Column; choice: Uint16Array }

/** Of no devices: no layers cost nothing. */
export function emptyAllocation(nLayers: number): Allocation {
  const costNs = new Float64Array(nLayers + 1).fill(Infinity)
  costNs[0] = 0
  return { costNs, choice: new Uint16Array(nLayers + 1) }
}

/** @returns what takes least, and the layers of each device; Infinity where they cannot have all layers together */
export type ShareOut = (columns: readonly Column[]) => { costNs: number; layers: number[] }

/**
 * Keeps its memory between calls.
 *
 * @param mostDevices in one call
 */
export function createShareOut(nLayers: number, mostDevices: number): ShareOut {
  const nothing = emptyAllocation(nLayers)
  const sums = Array.from({ length: mostDevices }, () => emptyAllocation(nLayers))

  return (columns) => {
    /** What the devices to come can have at most. */
    let restMost = columns.reduce((most, column) => most + Math.max(0, lastPart(column)), 0)
    let before = nothing
    for (const [device, column] of columns.entries()) {
      restMost -= Math.max(0, lastPart(column))
      const sum = sums[device] ?? nothing
      sum.costNs.fill(Infinity)
      addDevice(before.costNs, column, sum, { fromLayers: nLayers - restMost })
      before = sum
    }
    const layers = columns.map(() => 0)
    let rest = nLayers
    for (let device = columns.length - 1; device >= 0; device--) {
      const own = sums[device]?.choice[rest] ?? 0
      layers[device] = own
      rest -= own
    }
    return { costNs: before.costNs[nLayers] ?? Infinity, layers }
  }
}

/** The most layers that there is a part for; -1 when there is none. */
function lastPart(column: Column): number {
  let layers = column.length - 1
  while (layers >= 0 && column[layers] === Infinity) layers--
  return layers
}

/**
 * With at least one layer for the device that is added.
 *
 * @param before what the others take, by their layers
 * @param own of the device that is added
 * @param sum takes what is less than it has
 * @param options fewer layers, all together, than `fromLayers` are of no interest; `mark` is added to every choice, and
 *   `moreNs` to what it costs
 */
export function addDevice(
  before: Column,
  own: Column,
  { costNs, choice }: Allocation,
  { fromLayers = 0, mark = 0, moreNs = 0 }: { fromLayers?: number; mark?: number; moreNs?: number } = {},
): void {
  const nLayers = before.length - 1
  const last = lastPart(before)
  let first = 0
  while (first <= last && before[first] === Infinity) first++
  const mostShare = lastPart(own)
  for (let share = 1; share <= mostShare; share++) {
    const shareNs = (own[share] ?? Infinity) + moreNs
    if (shareNs === Infinity) continue
    const end = Math.min(last, nLayers - share)
    for (let others = Math.max(first, fromLayers - share); others <= end; others++) {
      const ns = shareNs + (before[others] ?? Infinity)
      if (ns >= (costNs[others + share] ?? 0)) continue
      costNs[others + share] = ns
      choice[others + share] = share + mark
    }
  }
}
