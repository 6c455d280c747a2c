/**
 * What the planner is told and what it answers. Every field carries its unit in its name.
 *
 * Symbols in brackets are those of prima.cpp (arXiv 2504.08791, table 6).
 *
 * @module
 */

/** A browser tab (or another host of the engine) taking part in the cluster. */
export type DeviceId = string & { readonly __brand: 'DeviceId' }

/** Bytes keyed by weight type in ggml's spelling, e.g. `{ Q4_K: 31_000_000, F32: 32_768 }`. */
export type BytesByType = Readonly<Record<string, number>>

/** What one device measured about itself, with the kernels and files that it will use. */
export type DeviceProfile = {
  device: DeviceId
  /** Bytes the engine may fill with weights, KV cache and buffers [d_avail]. A budget, not a guess at what is free. */
  memoryBytes: number
  /** Matrix–vector rate by weight type, in bytes of stored weights per second: decode is bound by reading weights. */
  weightBytesPerSec: BytesByType
  /** Sequential read speed of the weight store (OPFS) [s_disk]. */
  diskReadBytesPerSec: number
  /** Median one-way time of one decode frame from this device to another, by that device [t_comm]. */
  hopMs: Readonly<Record<string, number>>
  /** One-way time assumed for a device that `hopMs` does not name. */
  defaultHopMs: number
  /** All that was measured of the hops in `hopMs`. */
  hops?: Readonly<Record<string, HopTimes>> | undefined
  /** Batched rate by weight type: stored bytes times rows per second, in chunks of 32 rows. Prefill is bound by it. */
  prefillBytesPerSec?: BytesByType | undefined
  /** Per token and layer, whatever the layer's size: norms, RoPE, KV-cache append, threads that wait for each other. */
  layerFixedMs?: number | undefined
  /** Of it, storing one position's K and V. */
  kvAppendMs?: number | undefined
  /** Per token on the head, whatever the model's size: embedding row, sampling, text. */
  headFixedMs?: number | undefined
  /** Bytes of K and V that attention reads per second: 1,000 tokens cost 1,000 · `kvBytesPerPosition` ÷ this, per layer. */
  kvReadBytesPerSec?: number | undefined
  diskWriteBytesPerSec?: number | undefined
  /** How fast layers come that are not stored here yet; as fast as the store when absent. */
  downloadBytesPerSec?: number | undefined
  /** 'warm': the page cache helped; 'streamed': as layers were really read while they streamed. */
  diskMeasured?: 'warm' | 'streamed' | undefined
  /** Times of computing were multiplied by this (rates divided), because the device runs slower than it measured. */
  slowdown?: Slowdown | undefined
  /** When the kernels were measured, as Date.now(). */
  measuredAtMs?: number | undefined
  /** Absent where no layer can run on a GPU. */
  gpu?: GpuProfile | undefined
}

/** A GPU with memory of its own, in which its layers stay. */
export type GpuProfile = {
  /** For weights and KV cache [d_cuda^avail − c^gpu]. */
  memoryBytes: number
  weightBytesPerSec: BytesByType
  /** As of the device's processor. */
  prefillBytesPerSec?: BytesByType | undefined
  /** A hidden state there and back, once per window with GPU layers [t^{ram→vram} + t^{vram→ram}]. */
  copyMs: number
}

/** Frames to another device, one way: half of a round trip that the other end answers at once. */
export type HopTimes = {
  /** A decode frame, of one row: median and 90th percentile. */
  rowMs: number
  rowP90Ms: number
  /** A prefill frame, of 32 rows. */
  chunkMs: number
  chunkP90Ms: number
  /** Share of probes, 0…1, that were not answered within a second: loss shows as lateness on a reliable channel. */
  lateShare: number
}

export type Slowdown = {
  /** From 1, which is no slowdown. */
  factor: number
  /** 'hidden': the tab is out of sight; 'battery': low and not charging; 'heat': slower than it was at first. */
  reasons: readonly ('hidden' | 'battery' | 'heat')[]
}

/** What the planner must know of a model; read from a GGUF header by the device that chose it. */
export type ModelProfile = {
  name: string
  /** Transformer layers [L]. */
  nLayers: number
  /** Width of the hidden state [e]. */
  dim: number
  /** Stored weights of each layer, by type; length nLayers [b]. */
  layerBytes: readonly BytesByType[]
  /** Output norm and lm_head: read whole for every token, by the head alone [b_o]. */
  outputBytes: BytesByType
  /** Token embedding; equals the lm_head's tensor when `tiedOutput`, and is then held once [b_i]. */
  embeddingBytes: number
  tiedOutput: boolean
  /** K and V of one position in one layer [2(h_k e_k + h_v e_v)]. */
  kvBytesPerPosition: number
  /** Positions the KV cache must hold [n_kv]. */
  contextLength: number
  /** Scratch of the forward pass, on every device that has a part [c^cpu]; 16 MiB when absent. */
  bufferBytes?: number | undefined
  /** Width of a head, which decides whether its layers run on a GPU; unknown when absent. */
  headDim?: number | undefined
}

/** Consecutive layers that one device runs before it hands the hidden state on [w_m]. */
export type LayerWindow = {
  device: DeviceId
  firstLayer: number
  layers: number
  /** The last `gpuLayers` of the window run on the GPU [n_m]. */
  gpuLayers: number
}

/** Who runs what, in running order. */
export type Plan = {
  /** Embeds, samples and answers; holds the embedding, the output norm and lm_head. It may run no layers at all. */
  head: DeviceId
  /** Trips round the ring per token [k]. */
  rounds: number
  /** Cover layers 0…nLayers without gap or overlap, in running order. A device may own several. */
  windows: LayerWindow[]
  /** What `cost.ts` expects of this plan. */
  predictedTpotMs: number
}

/** What a planner answers: a plan, or a sentence that says what is missing. */
export type PlanResult =
  | { ok: true; plan: Plan }
  | { ok: false; code: 'no-plan' | 'bad-profile'; message: string }

/** What a person asks of a plan. */
export type PlanRequest =
  /** The lowest predicted TPOT; devices that would slow it down are left out. */
  | { split: 'fastest' }
  /** Every device takes part, with as equal a number of layers as can be. */
  | { split: 'even'; rounds?: number | undefined }
  /**
   * So many layers to each device over all rounds (prima.cpp's `-lw` and `-k`); where they do not add up to the model's,
   * the planner gives the others to devices that are not named. Of its layers, so many run on a device's GPU (`-ngl`).
   */
  | {
      split: 'manual'
      layers: Readonly<Record<string, number>>
      gpuLayers?: Readonly<Record<string, number>> | undefined
      rounds?: number | undefined
      head?: DeviceId | undefined
    }

/** What a plan is judged by, besides devices and model. */
export type Workload = {
  /** Conversations that decode in one pass: their rows share one read of the weights. 1 when absent. */
  sessions?: number | undefined
  /**
   * Positions behind the token that is judged, for which there is KV cache. When absent, half of the model's
   * `contextLength`, and room for all of it.
   */
  positions?: number | undefined
  /** Length of the prompt by which TTFT is judged; 256 when absent. */
  promptTokens?: number | undefined
}

/** What else a planner takes into account. */
export type PlanContext = {
  workload?: Workload | undefined
  /** The plan that the devices have loaded: `keep-plan.ts` says when it stays. */
  current?: Plan | undefined
}

/** One way of finding a plan. Pure: equal input gives an equal answer, whatever the order of `devices`. */
export type Planner = (
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  request?: PlanRequest,
  context?: PlanContext,
) => PlanResult
