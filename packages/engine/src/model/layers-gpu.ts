/**
 * The layers of a device on its GPU: weights that stay there, KV caches beside them, and hidden states that go up once for
 * a span of layers and come back once.
 *
 * @module
 */
import type { Backend, Region } from '../backend/backend.ts'
import { createGpuAngles, type GpuAngles } from '../gpu/gpu-angles.ts'
import { createGpuKvCache, type GpuKvCache } from '../gpu/gpu-kv-cache.ts'
import { createGpuMemory } from '../gpu/gpu-memory.ts'
import type { Gpu } from '../gpu/gpu.ts'
import type { InferenceSession } from '../gpu/runtime.ts'
import type { Shard } from '../gguf/shards.ts'
import type { Activation } from '../protocol.ts'
import type { ModelConfig } from './config.ts'
import { shapeOf, uploadLayer, type GpuLayer } from './gpu-layer.ts'
import { createKvCaches } from './kv-caches.ts'
import { checkedPositions, checkLayer } from './layer-check.ts'
import { openGroup, type Run } from './layer-group.ts'
import { layerGraph, type LayerShape } from './layer-graph.ts'
import { notLoaded, spanOf, type Layers } from './layers.ts'

export type GpuLayers = Layers & {
  /**
   * Takes a layer's weights into use, once the GPU has shown that it computes them rightly.
   *
   * @param region all of the shard's packed bytes, of which nothing is needed afterwards
   * @throws EngineError 'unsupported-model', 'gpu-full', 'gpu-lost'; then nothing is held of it
   */
  load(layer: number, shard: Shard, region: Region): Promise<void>
  /** Frees a layer's weights. KV caches stay: the layer may come back. */
  unload(layer: number): void
  loaded(): number[]
  /** What {@link Layers.kvBytes} grows by when `count` layers run these rows. */
  kvGrowth(a: Activation, count: number): number
  /** All that is held on the GPU: weights, caches, hidden states. */
  memoryBytes(): number
  setBudget(bytes: number): void
  /** Frees everything that was allocated here. */
  free(): Promise<void>
}

export type GpuLayersOptions = {
  gpu: Gpu
  /** Holds the regions that are loaded, and says what is right. */
  backend: Backend
  config: ModelConfig
  /** Of GPU memory that may be filled. */
  budgetBytes: number
}

/** The most rows that run through a layer at once: without subgroups, attention takes (heads, rows, positions) for them. */
const maxRows = 128

export function createGpuLayers({ gpu, backend, config, budgetBytes }: GpuLayersOptions): GpuLayers {
  const { dim, nKvHeads, headDim } = config
  const { device } = gpu
  const memory = createGpuMemory(gpu, budgetBytes)
  const layers = new Map<number, HeldLayer>()
  const sessions = new Map<string, Promise<InferenceSession>>()
  const newCache = () => createGpuKvCache(device, memory, nKvHeads, headDim)
  const caches = createKvCaches(newCache)
  const lastLayer = config.nLayers - 1
  let place: Place | null = null
  /** Of the last run. */
  let result: Float32Array = new Float32Array(0)

  /** One session serves all layers of the same shape. */
  function sessionFor(shape: LayerShape): Promise<InferenceSession> {
    const key = JSON.stringify(shape)
    const session = sessions.get(key) ?? gpu.session(layerGraph(config, shape), 'gpu-buffer')
    sessions.set(key, session)
    session.catch(() => sessions.delete(key))
    return session
  }

  /** @param theta (headDim / 2), the same for all layers of a model */
  function makePlace(theta: Float32Array): Place {
    const hiddenBytes = maxRows * dim * 4
    memory.checkRoom(4 * hiddenBytes)
    return {
      hidden: [memory.buffer(hiddenBytes), memory.buffer(hiddenBytes)],
      lastPosition: memory.buffer(4),
      angles: createGpuAngles(memory, theta),
      results: memory.buffer(hiddenBytes),
    }
  }

  /** Rows that lie in hidden[0], through layers. @returns the buffer in which they lie then */
  async function through(held: readonly HeldLayer[], kv: readonly GpuKvCache[], { rows, position }: Rows) {
    const { hidden, lastPosition, angles } = place!
    const end = position + rows
    const { cos, sin, positions } = angles.upTo(end)
    device.queue.writeBuffer(lastPosition, 0, Int32Array.of(end - 1))
    const shared = {
      last_position: gpu.tensor(lastPosition, 'int32', [1]),
      positions: gpu.number(end),
      cos: gpu.tensor(cos, 'float32', [positions, headDim / 2]),
      sin: gpu.tensor(sin, 'float32', [positions, headDim / 2]),
    }
    let [x, y] = hidden
    for (const [i, { session, feeds }] of held.entries()) {
      const { key, value } = kv[i]!.buffers()!
      const cacheDims = [1, nKvHeads, kv[i]!.capacity, headDim]
      const keys = gpu.tensor(key, 'float32', cacheDims)
      const values = gpu.tensor(value, 'float32', cacheDims)
      const own = { x: gpu.tensor(x, 'float32', [rows, dim]), past_key: keys, past_value: values }
      await session.run(
        { ...feeds, ...shared, ...own },
        { y: gpu.tensor(y, 'float32', [rows, dim]), present_key: keys, present_value: values },
      )
      ;[x, y] = [y, x]
    }
    return x
  }

  /** Runs all rows and reads what came of them into the result; behind the model's last layer, of each run what it asks for. */
  async function runAll(
    runs: readonly Run<GpuKvCache>[],
    held: readonly HeldLayer[],
    isLast: boolean,
  ): Promise<void> {
    const end = runs.reduce((sum, { a }) => sum + a.hidden.length, 0)
    if (place!.results.size < end * 4) {
      memory.free(place!.results)
      place!.results = memory.buffer(end * 4)
    }
    const { hidden, results } = place!
    for (const { a, kv, at } of runs) {
      for (let row = 0; row < a.rows; row += maxRows) {
        const rows = Math.min(maxRows, a.rows - row)
        const from = a.hidden as Float32Array<ArrayBuffer>
        device.queue.writeBuffer(hidden[0], 0, from, row * dim, rows * dim)
        const out = await through(held, kv, { rows, position: a.position + row })
        const [first, to, count] = isLast && !a.every ? [rows - 1, at, 1] : [0, at + row * dim, rows]
        const encoder = device.createCommandEncoder()
        encoder.copyBufferToBuffer(out, first * dim * 4, results, to * 4, count * dim * 4)
        device.queue.submit([encoder.finish()])
      }
    }
    const bytes = await gpu.read(results, end * 4)
    result = new Float32Array(bytes.buffer, bytes.byteOffset, end)
  }

  function unload(layer: number): void {
    layers.get(layer)?.free()
    layers.delete(layer)
  }

  return {
    async load(layer, shard, region) {
      unload(layer)
      const session = await sessionFor(shapeOf(layer, shard))
      const held = await memory.checked(async () => {
        const uploaded = uploadLayer(gpu, memory, config, { layer, shard, packed: region.bytes() })
        const held = { ...uploaded, session }
        const cache = newCache()
        try {
          place ??= makePlace(held.theta)
          cache.reserve(checkedPositions)
          const runHere = async (hidden: Float32Array, position: number) => {
            const a = { plan: 0, session: 0, layer, position, rows: hidden.length / dim, hidden }
            await runAll([{ a, kv: [cache], at: 0 }], [held], false)
            return result
          }
          const wrong = await checkLayer(backend, config, { layer, shard, region }, runHere)
          if (wrong) throw gpu.fail(wrong)
          return held
        } catch (thrown) {
          held.free()
          throw thrown
        } finally {
          cache.free()
        }
      })
      layers.set(layer, held)
    },
    unload,
    loaded: () => [...layers.keys()].toSorted((a, b) => a - b),

    async run(group, count) {
      const span = spanOf(group[0]!, count)
      const held = span.map((layer) => layers.get(layer) ?? notLoaded(layer))
      const isLast = span.at(-1) === lastLayer
      return memory.checked(async () => {
        const opened = openGroup(caches, group, span)
        if (opened.runs.length > 0) await runAll(opened.runs, held, isLast)
        return opened.done(result, isLast)
      })
    },

    release: caches.release,
    kvBytes: caches.bytes,
    gatherRows: () => 1,
    kvGrowth: (a, count) => caches.growth(a.session, spanOf(a, count), a.position + a.rows),
    memoryBytes: memory.bytes,
    setBudget: memory.setBudget,

    async free() {
      for (const layer of layers.keys()) unload(layer)
      caches.release()
      place?.angles.free()
      for (const buffer of place ? [...place.hidden, place.lastPosition, place.results] : [])
        memory.free(buffer)
      place = null
      const ended = [...sessions.values()].map(async (session) => (await session).release())
      sessions.clear()
      // A device that was lost has nothing left to release, and says so.
      await Promise.allSettled(ended)
    },
  }
}

type HeldLayer = GpuLayer & { session: InferenceSession }

/** Where hidden states lie while they pass through layers. */
type Place = {
  /** (maxRows, dim), twice: each layer reads one and writes the other. */
  hidden: [GPUBuffer, GPUBuffer]
  /** One int32. */
  lastPosition: GPUBuffer
  angles: GpuAngles
  /** (rows of all sessions, dim) */
  results: GPUBuffer
}

type Rows = { rows: number; position: number }
