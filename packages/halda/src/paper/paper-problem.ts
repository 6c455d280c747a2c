/**
 * The layer-to-device assignment problem as prima.cpp poses it (arXiv 2504.08791v2, appendix A.3): other quantities
 * than Hearth measures, kept apart so that the published tables can be reproduced from published figures.
 *
 * @module
 */

export type PaperDevice = {
  name: string
  /** Android counts as Linux with the swap it can free added to `ramBytes`. */
  os: 'macos' | 'linux'
  gpu: 'none' | 'metal' | 'cuda'
  /** One layer on the CPU [α_m]. */
  alphaMs: number
  /** What one layer takes more on the GPU; negative when the GPU is faster [β_m]. */
  betaMs: number
  /** Once per window: copies between RAM and VRAM, and the hop [ξ_m]. */
  xiMs: number
  /** [d_m^avail] */
  ramBytes: number
  /** Metal's working set or free VRAM [d_{m,metal}^avail, d_{m,cuda}^avail]; 0 without a GPU. */
  gpuBytes: number
  /** Compute buffers [c^cpu, c^gpu]. */
  cpuBufferBytes: number
  gpuBufferBytes: number
  /** [s_m^disk] */
  diskBytesPerSec: number
}

export type PaperProblem = {
  /** [L] */
  nLayers: number
  /** Weights of one layer [b]. */
  layerBytes: number
  /** Weights of one layer and its KV cache [b']. */
  layerMemoryBytes: number
  /** One row of the embedding, read from disk for every token [b_i/V]. */
  inputRowBytes: number
  /** Output norm and lm_head [b_o]. */
  outputBytes: number
  /** Their time on the head; a part of κ, the same for every split. */
  outputMs: number
  /** The head comes first [m = 1]. */
  devices: PaperDevice[]
}

/** w_m layers per window, of which n_m on the GPU, in k rounds; L = k·Σw. */
export type PaperSplit = { k: number; w: number[]; n: number[] }

/** What the head keeps besides its layers [(b_i/V + b_o)·I(m = 1)]. */
export const headBytes = (problem: PaperProblem, m: number): number =>
  m === 0 ? problem.inputRowBytes + problem.outputBytes : 0

/** The memory that decides whether a device is overloaded: Metal's working set, or RAM. */
export const budgetBytes = (device: PaperDevice): number =>
  device.gpu === 'metal' ? device.gpuBytes : device.ramBytes

/** What of that budget layers cannot have [bcio_m, and c^gpu with Metal]. */
export const reservedBytes = (problem: PaperProblem, device: PaperDevice, m: number): number =>
  headBytes(problem, m) + device.cpuBufferBytes + (device.gpu === 'metal' ? device.gpuBufferBytes : 0)

/** Layers for which the GPU has room, not rounded [(34), (35)]; prima.cpp keeps the output layer in Metal memory. */
export function gpuRoomLayers(problem: PaperProblem, device: PaperDevice, m: number): number {
  if (device.gpu === 'none') return 0
  const output = device.gpu === 'metal' && m === 0 ? problem.outputBytes : 0
  return Math.max(0, (device.gpuBytes - device.gpuBufferBytes - output) / problem.layerMemoryBytes)
}

export const diskMs = (device: PaperDevice, bytes: number): number => (bytes / device.diskBytesPerSec) * 1000
