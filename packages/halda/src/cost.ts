/**
 * What a whole plan costs:
 *
 *     TPOT = max(path, reads of the device that reads longest)
 *     path = Σ over devices (computing + output + waiting for the store)  +  Σ ξ over all changes of device
 *
 * Where all windows fit by the bytes of their very layers, a plan of one round without GPUs waits for nothing; in all
 * other plans a window counts as the largest of so many layers, so that a search over counts is exact (`part.ts`).
 *
 * @module
 */
import { largestLayerBytes, totalBytes } from './layer-bytes.ts'
import { figuresOf, partOf, streamedUnits, type Counts, type Figures } from './part.ts'
import { leastSlots } from './residency.ts'
import {
  bufferBytes,
  chunkXiNs,
  decodePass,
  embeddingMemoryBytes,
  layerKvBytes,
  outputMemoryBytes,
  outputPieces,
  xiNs,
} from './symbols.ts'
import type { DeviceId, DeviceProfile, LayerWindow, ModelProfile, Plan, Workload } from './types.ts'

/** One device's part of a plan. */
export type DeviceCost = {
  device: DeviceId
  layers: number
  gpuLayers: number
  /** So many layers its GPU has room for; 0 without one. */
  gpuRoomLayers: number
  /** CPU layers, and on the head pieces of the output, that stay in memory, and that are read for every token. */
  pinnedUnits: number
  streamedUnits: number
  /** Its layers, once per token. */
  computeNs: number
  /** κ on the head, 0 elsewhere. */
  outputNs: number
  /** Time of the hops that leave this device. */
  hopNs: number
  hops: number
  /** Waiting for its store, once per token [T^disk]. */
  waitNs: number
  /** 0 for a device that has no part; else weights, KV cache and `bufferBytes`, all held at once. Without GPU layers. */
  memoryBytes: number
  /** The same without the embedding, of which single rows are read where it does not fit. */
  residentBytes: number
  /** The same with two units held at a time, the others read from the store when their turn comes. */
  leastMemoryBytes: number
  budgetBytes: number
}

export type PlanCost = {
  /** One token of every session, at the workload's context. */
  tpotNs: number
  /** The same if reading from stores took no longer than the path: at most `tpotNs`. */
  pathNs: number
  /** From a prompt of `promptTokens` to its first token. */
  ttftNs: number
  hops: number
  /** Whether every device holds its part in some way: whole, or through slots, and its GPU layers in GPU memory. */
  fits: boolean
  /** Every device that was given, in that order, those without a part too. */
  devices: DeviceCost[]
}

/** Rows of one prefill chunk, as they are measured. */
const chunkRows = 32
const defaultPromptTokens = 256

/**
 * Prepares the devices once for many plans.
 *
 * @returns the cost of a plan; it throws RangeError when the plan names a device that has no profile
 */
export function createPricer(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  workload: Workload = {},
): (plan: Plan) => PlanCost {
  const pass = decodePass(model, workload)
  const chunks = Math.ceil((workload.promptTokens ?? defaultPromptTokens) / chunkRows)
  const chunk = { rows: chunkRows, positions: (chunks * chunkRows) / 2 }
  const kvBytes = layerKvBytes(model, workload)
  const bytesOf = model.layerBytes.map(totalBytes)
  const outputBytes = outputMemoryBytes(model)
  const pieces = outputPieces(model)
  const slotsBytes = leastSlots * largestLayerBytes(model)
  const known = new Map<DeviceId, Known>()
  for (const profile of devices) {
    known.set(profile.device, {
      profile,
      figures: figuresOf(profile, model, pass, kvBytes),
      chunkFigures: figuresOf(profile, model, chunk, kvBytes),
    })
  }
  const lookUp = (device: DeviceId): Known => {
    const found = known.get(device)
    if (found === undefined) throw new RangeError(`The plan names ${device}, which has no profile`)
    return found
  }

  return ({ head, rounds, windows }) => {
    for (const device of [head, ...windows.map((window) => window.device)]) lookUp(device)
    const hops = hopsOf(head, windows)
    const parts = devices.map((profile): Draft => {
      const own = windows.filter(({ device }) => device === profile.device)
      const isHead = profile.device === head
      const layers = own.reduce((sum, window) => sum + window.layers, 0)
      const gpuLayers = own.reduce((sum, window) => sum + window.gpuLayers, 0)
      const cpuLayers = layers - gpuLayers
      const hasPart = layers > 0 || isHead
      const fixedBytes = hasPart ? bufferBytes(model) + cpuLayers * kvBytes : 0
      const { windowBytes } = lookUp(profile.device).figures
      let unitsBytes = isHead ? outputBytes : 0
      let mostBytes = 0
      for (const window of own) {
        const end = window.firstLayer + window.layers - window.gpuLayers
        mostBytes += windowBytes[end - window.firstLayer] ?? 0
        for (let layer = window.firstLayer; layer < end; layer++) unitsBytes += bytesOf[layer] ?? 0
      }
      return {
        counts: { layers, gpuLayers, visits: own.length, isHead },
        known: lookUp(profile.device),
        mostBytes,
        residentBytes: fixedBytes + unitsBytes,
        memoryBytes: fixedBytes + unitsBytes + (isHead ? embeddingMemoryBytes(model) : 0),
        leastMemoryBytes: fixedBytes + Math.min(unitsBytes, slotsBytes),
      }
    })

    const fitsByBytes =
      rounds === 1 &&
      parts.every(
        ({ counts, residentBytes, known }) =>
          counts.gpuLayers === 0 && residentBytes <= known.profile.memoryBytes,
      )
    let fits = true
    let chunkTripNs = 0
    let slowestChunkNs = 0
    let slowestReaderNs = 0
    let slowestReader: DeviceCost | null = null
    const costs = parts.map((part): DeviceCost => {
      const { counts, known, mostBytes, memoryBytes, residentBytes, leastMemoryBytes } = part
      const { profile, figures, chunkFigures } = known
      const cpuLayers = counts.layers - counts.gpuLayers
      const streamable = streamedUnits(figures, cpuLayers, mostBytes, counts.isHead)
      const hasPart = counts.layers > 0 || counts.isHead
      if (hasPart && !fitsByBytes && (streamable === null || counts.gpuLayers > figures.gpuRoomLayers)) {
        fits = false
      }
      const units = cpuLayers + (counts.isHead ? pieces : 0)
      const streamed = fitsByBytes ? 0 : (streamable ?? units)
      const { computeNs, outputNs, waitNs, readerNs } = partOf(figures, counts, streamed)
      const streamedLayers = Math.min(streamed, cpuLayers)
      const prefill = partOf(chunkFigures, { ...counts, isHead: false }, streamedLayers)
      const chunkNs = Math.max(prefill.computeNs + prefill.waitNs, prefill.readerNs)
      chunkTripNs += chunkNs
      slowestChunkNs = Math.max(slowestChunkNs, chunkNs)
      const away = hops.filter(({ from }) => from === profile.device)
      const cost: DeviceCost = {
        device: profile.device,
        layers: counts.layers,
        gpuLayers: counts.gpuLayers,
        gpuRoomLayers: figures.gpuRoomLayers,
        pinnedUnits: units - streamed,
        streamedUnits: streamed,
        computeNs,
        outputNs,
        hopNs: away.reduce((sum, { to }) => sum + xiNs(profile, to), 0),
        hops: away.length,
        waitNs,
        memoryBytes,
        residentBytes,
        leastMemoryBytes,
        budgetBytes: profile.memoryBytes,
      }
      if (readerNs > slowestReaderNs) [slowestReaderNs, slowestReader] = [readerNs, cost]
      return cost
    })

    const pathNs = costs.reduce(
      (sum, cost) => sum + cost.computeNs + cost.outputNs + cost.waitNs + cost.hopNs,
      0,
    )
    giveWait(slowestReader, slowestReaderNs - pathNs)
    const chunkHopNs = hops.reduce((sum, { from, to }) => sum + chunkXiNs(lookUp(from).profile, to), 0)
    return {
      tpotNs: Math.max(pathNs, slowestReaderNs),
      pathNs,
      ttftNs: chunkTripNs + chunkHopNs + (chunks - 1) * slowestChunkNs + lookUp(head).figures.kappaNs,
      hops: hops.length,
      fits,
      devices: costs,
    }
  }
}

type Known = { profile: DeviceProfile; figures: Figures; chunkFigures: Figures }
type Draft = {
  counts: Counts
  known: Known
  /** Of its layers, wherever its windows lay. */
  mostBytes: number
  residentBytes: number
  memoryBytes: number
  leastMemoryBytes: number
}

/** What everybody waits for the slowest reader is its own waiting. */
function giveWait(reader: DeviceCost | null, excessNs: number): void {
  if (reader !== null && excessNs > 0) reader.waitNs += excessNs
}

/** The hidden state starts at the head, visits the windows in running order and ends at the head. */
function hopsOf(head: DeviceId, windows: readonly LayerWindow[]): { from: DeviceId; to: DeviceId }[] {
  const stations = [head, ...windows.map(({ device }) => device), head]
  return stations.slice(1).flatMap((to, i) => {
    const from = stations[i]
    return from === undefined || from === to ? [] : { from, to }
  })
}

/**
 * A ring of one has no hops; the head may run no layers.
 *
 * @throws RangeError when the plan names a device that has no profile
 */
export const planCost = (
  plan: Plan,
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  workload: Workload = {},
): PlanCost => createPricer(devices, model, workload)(plan)
