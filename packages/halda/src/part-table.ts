/**
 * What every number of layers costs a device in a plan of k rounds: the columns that the searches add up.
 *
 * @module
 */
import {
  layersBytes,
  leastStreamedUnits,
  partOf,
  streamedLayers,
  streamedUnits,
  type Figures,
} from './part.ts'

/** By layers, 0…nLayers: what they take in ns; Infinity where there is no such part. */
export type Column = Float64Array

export type PartTable = {
  /** The least path time with reads of at most `boundNs`. */
  pathNs(boundNs: number): Column
  /** The same as if nothing were waited for: in more rounds a part takes no less. */
  freeNs(boundNs: number): Column
  /** GPU layers of the part that {@link PartTable.pathNs} counts. */
  gpuLayers(layers: number, boundNs: number): number
  /** Reads of every part, in no order; Infinity for parts that there are not. */
  readsNs: Float64Array
  /** The longest of them: a bound that is no lower changes nothing. */
  mostReadsNs: number
}

export type PartTableOptions = {
  nLayers: number
  /** Each visits the device, unless it has no layers at all. */
  rounds: number
  isHead: boolean
  /** The only number of layers that there is a part for. */
  fixedLayers?: number | undefined
  /** What no device computes a layer in less than: the layers that are not this device's cost others as much. */
  leastLayerNs: number
  /** Parts with which a token takes so long are of no interest. */
  belowNs: number
}

export const leastLayerNs = (devices: readonly Figures[]): number =>
  devices.reduce(
    (least, { alphaNs, gpuRoomLayers, gpuLayerNs }) =>
      Math.min(least, alphaNs, gpuRoomLayers > 0 ? gpuLayerNs : Infinity),
    Infinity,
  )

export function createPartTable(
  figures: Figures,
  { nLayers, rounds, isHead, fixedLayers, leastLayerNs, belowNs }: PartTableOptions,
): PartTable {
  const pieces = isHead ? figures.outputPieces : 0
  /** (layers, gpuLayers) */
  const stride = figures.gpuRoomLayers + 1
  const pathNs = new Float64Array((nLayers + 1) * stride).fill(Infinity)
  const freeNs = new Float64Array(pathNs.length).fill(Infinity)
  const readsNs = new Float64Array(pathNs.length).fill(Infinity)
  let mostReadsNs = 0
  for (let layers = 0; layers <= nLayers; layers++) {
    if ((layers > 0 && layers < rounds) || layers !== (fixedLayers ?? layers)) continue
    const visits = layers === 0 ? 0 : rounds
    const othersNs = (nLayers - layers) * leastLayerNs
    for (let gpuLayers = 0; gpuLayers <= Math.min(layers, figures.gpuRoomLayers); gpuLayers++) {
      const cpuLayers = layers - gpuLayers
      if (cpuLayers * figures.alphaNs + gpuLayers * figures.gpuLayerNs + othersNs >= belowNs) continue
      const bytes = layersBytes(figures, cpuLayers, visits)
      const reads = leastStreamedUnits(figures, cpuLayers, bytes, isHead)
      if (streamedLayers(reads, cpuLayers, pieces) * figures.layerReadNs > belowNs) continue
      const streamed = reads === 0 ? 0 : streamedUnits(figures, cpuLayers, bytes, isHead)
      if (streamed === null) continue
      const part = partOf(figures, { layers, gpuLayers, visits, isHead }, streamed)
      const place = layers * stride + gpuLayers
      const ns = part.computeNs + part.outputNs
      freeNs[place] = ns
      if (ns + part.waitNs + othersNs < belowNs) pathNs[place] = ns + part.waitNs
      readsNs[place] = part.readerNs
      mostReadsNs = Math.max(mostReadsNs, part.readerNs)
    }
  }

  /** Of the parts with so many layers; of equal ones that with fewer on the GPU. */
  function bestPlace(from: Column, layers: number, boundNs: number): number {
    let best = layers * stride
    for (let place = best + 1; place < (layers + 1) * stride; place++) {
      if ((readsNs[place] ?? Infinity) > boundNs) continue
      if ((readsNs[best] ?? Infinity) > boundNs || (from[place] ?? 0) < (from[best] ?? 0)) best = place
    }
    return best
  }

  function leastOf(from: Column, boundNs: number): Column {
    if (stride === 1 && boundNs >= mostReadsNs) return from
    const column = new Float64Array(nLayers + 1)
    for (let layers = 0; layers <= nLayers; layers++) {
      const place = bestPlace(from, layers, boundNs)
      column[layers] = (readsNs[place] ?? Infinity) > boundNs ? Infinity : (from[place] ?? Infinity)
    }
    return column
  }

  /** The last that was asked for: a search asks for the same many times. */
  let known: { boundNs: number; column: Column } | null = null

  return {
    pathNs(anyNs) {
      const boundNs = Math.min(anyNs, mostReadsNs)
      if (known?.boundNs === boundNs) return known.column
      known = { boundNs, column: leastOf(pathNs, boundNs) }
      return known.column
    },
    freeNs: (boundNs) => leastOf(freeNs, boundNs),
    gpuLayers: (layers, boundNs) => bestPlace(pathNs, layers, boundNs) - layers * stride,
    readsNs,
    mostReadsNs,
  }
}
