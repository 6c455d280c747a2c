/**
 * One device's part of a token, from counts alone: so many layers in so many visits. All layers count as the mean one
 * in time, and in memory a window of them as the largest that has as many.
 *
 * At run time a reader fills two slots with the next streamed units in running order, across visits and tokens; a slot
 * is free again when its unit has run. So a visit finds two streamed units read, if there was time since the last one,
 * and waits for the others; and however much of it is hidden, a token takes at least as long as the reads of any one
 * device. `simulate.ts` plays the same unit by unit.
 *
 * @module
 */
import { largestLayerBytes, meanLayerBytes, totalBytes, windowBytes } from './layer-bytes.ts'
import { leastSlots } from './residency.ts'
import {
  alphaNs,
  bufferBytes,
  copyNs,
  diskNs,
  gpuLayerNs,
  kappaNs,
  outputMemoryBytes,
  outputPieces,
  type Pass,
} from './symbols.ts'
import type { DeviceProfile, ModelProfile } from './types.ts'

/** A device and a model as numbers. */
export type Figures = {
  /** One layer, and the head's output [α, κ]. */
  alphaNs: number
  kappaNs: number
  /** Reading the mean layer, and the whole output, from the store [f]. */
  layerReadNs: number
  outputReadNs: number
  /** For units and KV cache. */
  roomBytes: number
  kvBytes: number
  /** By layers: the most that a window of so many takes. */
  windowBytes: Float64Array
  /** The largest layer; no piece of the output is larger. */
  largestLayerBytes: number
  smallestLayerBytes: number
  outputBytes: number
  outputPieces: number
  /** Layers that fit the GPU [(34), (35)]; 0 without one. */
  gpuRoomLayers: number
  gpuLayerNs: number
  copyNs: number
}

/** @param kvBytes of a layer, for which there must be room */
export function figuresOf(device: DeviceProfile, model: ModelProfile, pass: Pass, kvBytes: number): Figures {
  const { gpu } = device
  const { least, most } = windowBytes(model)
  const outputBytes = outputMemoryBytes(model)
  const gpuUnitBytes = largestLayerBytes(model) + kvBytes
  return {
    alphaNs: alphaNs(device, model, pass),
    kappaNs: kappaNs(device, model, pass),
    layerReadNs: diskNs(device, totalBytes(meanLayerBytes(model))),
    outputReadNs: diskNs(device, outputBytes),
    roomBytes: device.memoryBytes - bufferBytes(model),
    kvBytes,
    windowBytes: most,
    largestLayerBytes: largestLayerBytes(model),
    smallestLayerBytes: least[1] ?? 0,
    outputBytes,
    outputPieces: outputPieces(model),
    gpuRoomLayers:
      gpu === undefined
        ? 0
        : Math.min(model.nLayers, Math.floor(gpu.memoryBytes / Math.max(1, gpuUnitBytes))),
    gpuLayerNs: gpu === undefined ? 0 : gpuLayerNs(gpu, model, pass),
    copyNs: gpu === undefined ? 0 : copyNs(gpu, pass),
  }
}

/** What a device is given to do for one token. */
export type Counts = {
  /** All of them, those on the GPU included [l_m = k·w_m, l_m^gpu = k·n_m]. */
  layers: number
  gpuLayers: number
  /** Windows, all about equal [W_m = k]. */
  visits: number
  isHead: boolean
}

export type Part = {
  /** Of layers and pieces of the output: how many are read for every token [Q_m]. */
  streamedUnits: number
  /** Its layers, with the copies to and from its GPU. */
  computeNs: number
  outputNs: number
  /** Waiting for units that could not be read ahead. */
  waitNs: number
  /** All its reads: a token takes no less [Q_m·f_m]. */
  readerNs: number
}

/** The most that so many CPU layers can take in so many windows, all about equal. */
export function layersBytes({ windowBytes }: Figures, cpuLayers: number, visits: number): number {
  if (visits === 0) return 0
  const layers = Math.floor(cpuLayers / visits)
  const larger = cpuLayers % visits
  return larger * (windowBytes[layers + 1] ?? 0) + (visits - larger) * (windowBytes[layers] ?? 0)
}

/**
 * Layers that stay in memory in one window; -1 when not even none do.
 *
 * @param windowBytes by layers; what a window takes at most, and so wherever it lies, unless given
 */
export function pinnedLayers(
  figures: Figures,
  isHead: boolean,
  windowBytes: Float64Array = figures.windowBytes,
): number {
  const forLayers = figures.roomBytes - (isHead ? figures.outputBytes : 0)
  let layers = windowBytes.length - 1
  while (layers >= 0 && (windowBytes[layers] ?? 0) + layers * figures.kvBytes > forLayers) layers--
  return layers
}

/** No fewer units stream, however small they are. */
export const leastStreamedUnits = (
  { largestLayerBytes, kvBytes, roomBytes, outputBytes }: Figures,
  cpuLayers: number,
  bytes: number,
  isHead: boolean,
): number => {
  const missingBytes = bytes + cpuLayers * kvBytes + (isHead ? outputBytes : 0) - roomBytes
  return missingBytes <= 0 ? 0 : leastSlots + Math.ceil(missingBytes / largestLayerBytes)
}

/**
 * Units that stream, wherever the windows lie: never fewer than `chooseResidency` streams. What stays is counted as the
 * largest that it may be: all layers but the smallest ones, or none but the largest.
 *
 * @param bytes of the layers, at most: {@link layersBytes}
 * @returns null when not even two units fit
 */
export function streamedUnits(
  figures: Figures,
  cpuLayers: number,
  bytes: number,
  isHead: boolean,
): number | null {
  const { largestLayerBytes: largest, smallestLayerBytes: smallest, outputBytes } = figures
  const roomBytes = figures.roomBytes - cpuLayers * figures.kvBytes
  let count = leastStreamedUnits(figures, cpuLayers, bytes, isHead)
  if (count === 0) return 0
  if (roomBytes < leastSlots * largest) return null
  const pieces = isHead ? figures.outputPieces : 0
  const units = cpuLayers + pieces
  for (; count < units; count++) {
    const layers = streamedLayers(count, cpuLayers, pieces)
    const layersStayBytes = Math.min((cpuLayers - layers) * largest, bytes - layers * smallest)
    const outputStaysBytes = isHead ? outputBytes * (1 - (count - layers) / pieces) : 0
    if (layersStayBytes + outputStaysBytes + leastSlots * largest <= roomBytes) break
  }
  return Math.min(units, count)
}

/** Of so many units that stream, spread evenly over all: the pieces of the output run last. */
export const streamedLayers = (count: number, cpuLayers: number, pieces: number): number =>
  Math.floor((count * cpuLayers) / (cpuLayers + pieces))

/**
 * What one visit takes longer than computing [V_m − t]: the first streamed unit runs after an even share of the others
 * and frees a slot, through which all but the first two are read one after another, and the last of them must still run.
 *
 * @param units run in this visit, in `busyNs` together
 * @param streamed of them; a mean, so not always whole
 */
export const visitWaitNs = (units: number, busyNs: number, streamed: number, readNs: number): number =>
  streamed <= leastSlots
    ? 0
    : Math.max(0, busyNs / streamed + (streamed - leastSlots) * readNs + busyNs / units - busyNs)

/** @param streamed by {@link streamedUnits}, or 0 where the actual bytes of the layers are known to fit */
export function partOf(figures: Figures, counts: Counts, streamed: number): Part {
  const { layers, gpuLayers, visits, isHead } = counts
  const cpuLayers = layers - gpuLayers
  const copies = Math.min(gpuLayers, visits)
  const computeNs = cpuLayers * figures.alphaNs + gpuLayers * figures.gpuLayerNs + copies * figures.copyNs
  const outputNs = isHead ? figures.kappaNs : 0
  if (streamed === 0) return { streamedUnits: 0, computeNs, outputNs, waitNs: 0, readerNs: 0 }

  const pieces = isHead ? figures.outputPieces : 0
  const units = cpuLayers + pieces
  const layersRead = streamedLayers(streamed, cpuLayers, pieces)
  const piecesNs = isHead ? ((streamed - layersRead) / pieces) * figures.outputReadNs : 0
  const readerNs = layersRead * figures.layerReadNs + piecesNs
  const readNs = readerNs / streamed
  const perVisit = visits === 0 ? 0 : cpuLayers / visits
  const busyNs = perVisit * figures.alphaNs
  const share = streamed / units
  // The head's output follows its last window, or its first one follows the output: one long visit.
  const longUnits = perVisit + pieces
  const longNs = isHead ? visitWaitNs(longUnits, busyNs + outputNs, longUnits * share, readNs) : 0
  const otherVisits = isHead ? Math.max(0, visits - 1) : visits
  const otherNs = otherVisits * visitWaitNs(perVisit, busyNs, perVisit * share, readNs)
  return {
    streamedUnits: streamed,
    computeNs,
    outputNs,
    waitNs: Math.round(longNs + otherNs),
    readerNs: Math.round(readerNs),
  }
}
