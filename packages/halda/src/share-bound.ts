/**
 * What a set of devices takes at least: as if nothing were waited for and no hidden state copied to a GPU. A layer then
 * costs a device the same whatever else it runs, so filling the fastest first is the best that can be.
 *
 * @module
 */
import { partOf, streamedUnits, type Figures } from './part.ts'
import { sizeOf } from './tours.ts'

export type ShareBound = (set: number, head: number, rounds: number) => number

/**
 * @param mostLayers that a device can run on its CPU as head or not; -1 when not even none
 * @returns the least path without hops, by set of devices that each run a layer in every round, and head; Infinity when
 *   the layers do not fit
 */
export function createShareBound(
  devices: readonly Figures[],
  nLayers: number,
  mostLayers: (device: Figures, isHead: boolean) => number,
): ShareBound {
  const segmentsFor = (isHead: boolean) =>
    devices.map((figures, device) => segmentsOf(figures, device, mostLayers(figures, isHead)))
  const asHead = segmentsFor(true)
  const plain = segmentsFor(false)
  const byHead = devices.map((_, head) =>
    devices
      .flatMap((_, device) => (device === head ? asHead : plain)[device] ?? [])
      .toSorted((a, b) => a.layerNs - b.layerNs),
  )
  const due = new Int32Array(devices.length)

  return (set, head, rounds) => {
    let ns = devices[head]?.kappaNs ?? 0
    let dueLayers = sizeOf(set) * rounds
    let rest = nLayers - dueLayers
    if (rest < 0) return Infinity
    due.fill(rounds)
    for (const { device, layers, layerNs } of byHead[head] ?? []) {
      if ((set & (1 << device)) === 0) continue
      const owed = Math.min(due[device] ?? 0, layers)
      const more = Math.min(rest, layers - owed)
      due[device] = (due[device] ?? 0) - owed
      dueLayers -= owed
      rest -= more
      ns += (owed + more) * layerNs
    }
    return rest > 0 || dueLayers > 0 ? Infinity : ns
  }
}

/** So many layers that take a device as long each. */
type Segment = { device: number; layers: number; layerNs: number }

const segmentsOf = (figures: Figures, device: number, cpuLayers: number): Segment[] =>
  [
    { device, layers: figures.gpuRoomLayers, layerNs: figures.gpuLayerNs },
    { device, layers: cpuLayers, layerNs: figures.alphaNs },
  ].filter(({ layers }) => layers > 0)

/** The most layers that a device can run at all with reads within the bound. */
export function mostWithin(figures: Figures, nLayers: number, boundNs: number, isHead: boolean): number {
  for (let layers = nLayers; layers >= 0; layers--) {
    const streamed = streamedUnits(figures, layers, isHead)
    if (streamed === null) continue
    const counts = { layers, gpuLayers: 0, visits: 1, isHead }
    if (partOf(figures, counts, streamed).readerNs <= boundNs) return layers
  }
  return -1
}
