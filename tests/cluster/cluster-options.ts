/**
 * How a cluster on one machine is to be, and how each page of it is told.
 *
 * @module
 */
import type { GenerateOptions } from '@hearth/engine'

export type ClusterOptions = {
  devices: number
  /** 'demo', a path, 'owner/repo/file.gguf', a URL, or 'synth:SHAPE:TYPE' for synthetic weights. */
  model: string
  /** 'even': every device takes part; 'fastest': Halda may leave devices out. */
  split: 'even' | 'fastest'
  /** Layers of each device, in the order they join; instead of `split`. */
  layers?: readonly number[]
  /** Of them, on each device's GPU; only with `layers`. */
  gpuLayers?: readonly number[]
  /** Trips round the ring per token. */
  rounds?: number
  /** Memory of each device, repeated when there are fewer than devices; careful defaults when absent. */
  budgetsBytes?: readonly number[]
  /** Browsers have WebGPU on SwiftShader, a program on the processor, and devices take that for a GPU. */
  gpu?: boolean
  /** Memory of each device's GPU, repeated when there are fewer than devices; careful defaults when absent. */
  gpuBudgetsBytes?: readonly number[]
  /** Makes every store as slow as that. */
  diskBytesPerSec?: number
  /** False reads streamed layers when they run and no sooner. */
  readsAhead?: boolean
  /**
   * Real limits of each browser with all its processes, by control groups: measured even where empty, done without, in
   * a logged sentence, where there are none.
   */
  caps?: Caps
  /** Each browser with all its processes on a core of its own. */
  ownCores?: boolean
  /** For what is asked on the pages themselves, by hand. */
  drafts?: NonNullable<GenerateOptions['drafts']>
  dtype: 'f16' | 'f32'
  threads?: number
  backend?: 'wasm' | 'reference'
  /** What the devices call themselves. */
  names?: readonly string[]
  /** What one device of this machine measured is told to the next ones: for tests that are not about measuring. */
  sharesMeasurements?: boolean
  log?: (line: string) => void
  /** On SIGINT, SIGTERM and SIGHUP: closes everything, then ends the process. */
  endsOnSignals?: boolean
}

export type Caps = {
  /** Memory of each browser, page cache included, repeated when there are fewer than devices. */
  memoryBytes?: readonly number[]
  /** Of each browser for itself. */
  diskBytesPerSec?: number
}

/** What the address of a device's page says of it; `apps/web` reads the same names. */
export function pageParameters(
  options: ClusterOptions,
  device: number,
  name: string,
): Record<string, string> {
  const {
    dtype,
    threads,
    backend,
    budgetsBytes,
    gpu = false,
    gpuBudgetsBytes,
    diskBytesPerSec,
    readsAhead = true,
    drafts,
  } = options
  const gpuBudgetBytes = gpuBudgetsBytes?.[device % gpuBudgetsBytes.length]
  const budgetBytes = budgetsBytes?.[device % budgetsBytes.length]
  return {
    name,
    dtype,
    ...(threads === undefined ? {} : { threads: String(threads) }),
    ...(backend === undefined ? {} : { backend }),
    ...(budgetBytes === undefined ? {} : { memoryMB: String(budgetBytes / 1e6) }),
    ...(gpu ? { softwareGpu: 'on' } : {}),
    ...(gpuBudgetBytes === undefined ? {} : { gpuMB: String(gpuBudgetBytes / 1e6) }),
    ...(diskBytesPerSec === undefined ? {} : { diskMBps: String(diskBytesPerSec / 1e6) }),
    ...(readsAhead ? {} : { readAhead: 'off' }),
    ...(drafts === undefined ? {} : { drafts }),
  }
}
