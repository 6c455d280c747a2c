/**
 * The layers of a device on its CPU: weights that stay and weights that stream, KV caches, and rows of several sessions
 * that run through a layer while it is there.
 *
 * @module
 */
import type { Backend, Region } from '../backend/backend.ts'
import type { Shard } from '../gguf/shards.ts'
import type { Activation } from '../protocol.ts'
import type { ModelConfig } from './config.ts'
import { createForwardPass, rowScratchBytes, type LoadedLayer } from './forward-pass.ts'
import { createKvCaches } from './kv-caches.ts'
import { openGroup } from './layer-group.ts'
import { notLoaded, spanOf, type Layers } from './layers.ts'
import type { WeightStream } from './weight-stream.ts'

export type CpuLayers = Layers & {
  /** Takes a layer's weights into use; `region` (all of the shard's packed bytes) is freed when it is unloaded. */
  load(layer: number, shard: Shard, region: Region): void
  /** Takes a layer into use whose weights come each time it runs. */
  stream(layer: number, shard: Shard, weights: WeightStream): void
  /** Frees a layer's weights. KV caches stay: the layer may come back. */
  unload(layer: number): void
  /** Layers with weights of their own, by `load`. */
  loaded(): number[]
  /** What {@link Layers.kvBytes} grows by when `count` layers run these rows. */
  kvGrowth(a: Activation, count: number): number
  /** What one session takes in one layer with so many positions. */
  kvBytesFor(positions: number): number
  /** Held outside the backend. */
  bufferBytes(): number
  /** Frees everything that was allocated here. */
  free(): void
}

/**
 * The most rows that run through a layer at once: enough to share each weight that is read and unpacked, few enough to stay in
 * cache. 128 where their scratch takes no more than half of a layer's weights with 4 bits each, else 64.
 */
export function rowsAtOnce(config: ModelConfig): number {
  const { dim, nHeads, nKvHeads, headDim, ffnDim } = config
  const weights = dim * (2 * (nHeads + nKvHeads) * headDim + 3 * ffnDim)
  return 128 * rowScratchBytes(config) <= weights / 4 ? 128 : 64
}

/** @throws EngineError 'out-of-memory' when there is no room for the scratch of `maxRows` rows */
export function createLayers(
  backend: Backend,
  config: ModelConfig,
  { maxRows = rowsAtOnce(config) }: { maxRows?: number } = {},
): CpuLayers {
  const pass = createForwardPass(backend, config, maxRows)
  const layers = new Map<number, LoadedLayer>()
  const streamed = new Map<number, { shard: Shard; weights: WeightStream }>()
  const caches = createKvCaches(() => backend.kvCache(config.nKvHeads, config.headDim))
  const lastLayer = config.nLayers - 1
  /** Outside the backend's memory, whose views end when it grows. */
  let result = new Float32Array(maxRows * config.dim)

  function unload(layer: number): void {
    layers.get(layer)?.region.free()
    layers.delete(layer)
    streamed.delete(layer)
  }

  /** Calls `use` with the layer's weights: at once where they are held, as soon as they have come where they stream. */
  async function withWeights(layer: number, use: (weights: LoadedLayer) => void): Promise<void> {
    const source = streamed.get(layer) ?? notLoaded(layer)
    const region = await source.weights.acquire(layer)
    try {
      use(pass.layer(layer, source.shard, region))
    } finally {
      source.weights.release(layer)
    }
  }

  return {
    load(layer, shard, region) {
      unload(layer)
      layers.set(layer, pass.layer(layer, shard, region))
    },
    stream(layer, shard, weights) {
      unload(layer)
      streamed.set(layer, { shard, weights })
    },
    unload,
    loaded: () => [...layers.keys()].toSorted((a, b) => a - b),

    async run(group, count) {
      const span = spanOf(group[0]!, count)
      for (const layer of span) if (!layers.has(layer) && !streamed.has(layer)) notLoaded(layer)
      const opened = openGroup(caches, group, span)
      const { runs, length: end } = opened

      // What a second window here is given is the result of the first, and must outlive a step that fails and runs again.
      const isResult = group.some(({ hidden }) => hidden.buffer === result.buffer)
      if (isResult || result.length < end) result = new Float32Array(Math.max(result.length, end))
      const inPlace = runs.length === 1 && end <= maxRows * config.dim
      for (const [i, layer] of span.entries()) {
        const isFirst = i === 0
        const isLast = i === span.length - 1
        const runAll = (weights: LoadedLayer) => {
          for (const { a, kv, at } of runs) {
            for (let row = 0; row < a.rows; row += maxRows) {
              const rows = Math.min(maxRows, a.rows - row)
              const [from, to] = [row * config.dim, (row + rows) * config.dim]
              if (isFirst) pass.x.values().set(a.hidden.subarray(from, to))
              else if (!inPlace) pass.x.values().set(result.subarray(at + from, at + to))
              const position = a.position + row
              if (layer === lastLayer && !a.every) {
                pass.runLast(weights, kv[i]!, rows, position)
                result.set(pass.x.values().subarray(0, config.dim), at)
                continue
              }
              pass.run(weights, kv[i]!, rows, position)
              if (isLast || !inPlace) result.set(pass.x.values().subarray(0, to - from), at + from)
            }
          }
        }
        const held = layers.get(layer)
        if (held) runAll(held)
        else if (runs.length > 0) await withWeights(layer, runAll)
      }
      return opened.done(result, span.at(-1) === lastLayer)
    },

    release: caches.release,
    kvBytes: caches.bytes,
    gatherRows: () => 1,
    kvGrowth: (a, count) => caches.growth(a.session, spanOf(a, count), a.position + a.rows),
    kvBytesFor: caches.bytesFor,
    bufferBytes: () => result.byteLength,

    free() {
      for (const layer of layers.keys()) unload(layer)
      caches.release()
      pass.free()
    },
  }
}
