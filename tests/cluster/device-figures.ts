/**
 * What one device of a cluster holds, reads and waits for.
 *
 * @module
 */
import type { ClusterState } from '@hearth/engine'
import type { ControlGroup } from './control-groups.ts'

export type DeviceFigures = {
  name: string
  layers: number
  /** Of them, on its GPU. */
  gpuLayers: number
  head: boolean
  weightBytes: number
  /** What the engine holds: weights, KV cache and buffers in WASM memory. */
  memoryBytes: number
  peakMemoryBytes: number
  downloadedBytes: number
  budgetBytes: number
  /** Layers read from the store each time they run, their bytes, and how long they were waited for in all. */
  streamedLayers: number
  streamedLayerBytes: number
  streamWaitMs: number
  /** Read from the store to run layers, so far, and the time in which something was being read. */
  readBytes: number
  readingMs: number
  /** Of the whole browser, where it runs in a control group: anonymous memory now, most with page cache, disk reads. */
  realResidentBytes: number | null
  realPeakBytes: number | null
  diskReadBytes: number | null
}

export function deviceFigures(state: ClusterState, group: ControlGroup | undefined): DeviceFigures {
  const { choice, numbered } = state.room!
  const { profile } = choice!
  const { plan } = numbered!
  const windows = plan.windows.filter(({ device }) => device === state.device)
  const layers = windows.flatMap((w) => profile.layerBytes.slice(w.firstLayer, w.firstLayer + w.layers))
  const head = plan.head === state.device
  const headBytes = sum(profile.outputBytes) + (profile.tiedOutput ? 0 : profile.embeddingBytes)
  const { streaming } = state
  const real = group?.figures()
  return {
    name: state.name,
    layers: layers.length,
    gpuLayers: windows.reduce((total, { gpuLayers }) => total + gpuLayers, 0),
    head,
    weightBytes: layers.reduce((total, layer) => total + sum(layer), head ? headBytes : 0),
    memoryBytes: state.memoryBytes,
    peakMemoryBytes: state.peakMemoryBytes,
    downloadedBytes: state.downloadedBytes,
    budgetBytes: state.memoryBudgetBytes,
    streamedLayers: streaming?.layers ?? 0,
    streamedLayerBytes: streaming?.layerBytes ?? 0,
    streamWaitMs: streaming?.waitedMs ?? 0,
    readBytes: streaming?.readBytes ?? 0,
    readingMs: streaming?.readingMs ?? 0,
    realResidentBytes: real?.residentBytes ?? null,
    realPeakBytes: real?.peakBytes ?? null,
    diskReadBytes: real?.diskReadBytes ?? null,
  }
}

const sum = (bytes: Readonly<Record<string, number>>) =>
  Object.values(bytes).reduce((total, n) => total + n, 0)
