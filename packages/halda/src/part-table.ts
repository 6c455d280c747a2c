/**
 * What every number of layers costs a device in a plan of k rounds: the columns that the searches add up.
 *
 * @module
 */
import { partOf, streamedUnits, type Figures } from './part.ts'

export type PartTable = {
  /** By layers, 0…nLayers: the least path time with reads of at most `boundNs`; Infinity where there is no such part. */
  pathNs(boundNs: number): Float64Array
  /** GPU layers of the part that {@link PartTable.pathNs} counts. */
  gpuLayers(layers: number, boundNs: number): number
  /** Reads of every part, in no order; Infinity for parts that there are not. */
  readsNs: Float64Array
}

export type PartTableOptions = {
  nLayers: number
  /** Each visits the device, unless it has no layers at all. */
  rounds: number
  isHead: boolean
  /** The only number of layers that there is a part for. */
  fixedLayers?: number | undefined
}

export function createPartTable(
  figures: Figures,
  { nLayers, rounds, isHead, fixedLayers }: PartTableOptions,
): PartTable {
  /** (layers, gpuLayers) */
  const stride = figures.gpuRoomLayers + 1
  const pathNs = new Float64Array((nLayers + 1) * stride).fill(Infinity)
  const readsNs = new Float64Array(pathNs.length).fill(Infinity)
  for (let layers = 0; layers <= nLayers; layers++) {
    if ((layers > 0 && layers < rounds) || layers !== (fixedLayers ?? layers)) continue
    for (let gpuLayers = 0; gpuLayers <= Math.min(layers, figures.gpuRoomLayers); gpuLayers++) {
      const streamed = streamedUnits(figures, layers - gpuLayers, isHead)
      if (streamed === null) continue
      const visits = layers === 0 ? 0 : rounds
      const part = partOf(figures, { layers, gpuLayers, visits, isHead }, streamed)
      pathNs[layers * stride + gpuLayers] = part.computeNs + part.outputNs + part.waitNs
      readsNs[layers * stride + gpuLayers] = part.readerNs
    }
  }

  /** Of the parts with so many layers; of equal ones that with fewer on the GPU. */
  function bestPlace(layers: number, boundNs: number): number {
    let best = layers * stride
    for (let place = best; place < (layers + 1) * stride; place++) {
      if ((readsNs[place] ?? Infinity) > boundNs) continue
      if ((readsNs[best] ?? Infinity) > boundNs || (pathNs[place] ?? 0) < (pathNs[best] ?? 0)) best = place
    }
    return best
  }

  return {
    pathNs(boundNs) {
      const least = new Float64Array(nLayers + 1)
      for (let layers = 0; layers <= nLayers; layers++) {
        const place = bestPlace(layers, boundNs)
        least[layers] = (readsNs[place] ?? Infinity) > boundNs ? Infinity : (pathNs[place] ?? Infinity)
      }
      return least
    },
    gpuLayers: (layers, boundNs) => bestPlace(layers, boundNs) - layers * stride,
    readsNs,
  }
}
