/**
 * Layers on a GPU, where there is one, beside their judges.
 *
 * @module
 */
import { createReferenceBackend } from '../../../packages/engine/src/backend/reference.ts'
import { createWebHost } from '../../../packages/engine/src/backend/wasm-host-web.ts'
import { createWasmBackend } from '../../../packages/engine/src/backend/wasm.ts'
import type { EngineError } from '../../../packages/engine/src/errors.ts'
import type { WeightType } from '../../../packages/engine/src/gguf/quant.ts'
import type { Gpu } from '../../../packages/engine/src/gpu/gpu.ts'
import { openGpu } from '../../../packages/engine/src/gpu/open-gpu.ts'
import { createGpuLayers, type GpuLayers } from '../../../packages/engine/src/model/layers-gpu.ts'
import { layersContract, type LayersUnderTest } from '../../../packages/engine/src/model/layers.contract.ts'
import { runAlone } from '../../../packages/engine/src/model/layers.ts'
import { loadModel, type LoadedModel } from '../../../packages/engine/src/node/load-model.ts'
import type { RangeSource } from '../../../packages/engine/src/store/source.ts'
import { createUrlSource } from '../../../packages/engine/src/store/url-source.ts'
import { bytesSource } from '../../../packages/engine/src/testing/bytes-source.ts'
import {
  divergence,
  nextProbabilities,
  type GoldenCase,
} from '../../../packages/engine/src/testing/golden-model.ts'
import { randomNumbers } from '../../../packages/engine/src/testing/random-blocks.ts'
import { tinyModel } from '../../../packages/engine/src/testing/tiny-model.ts'
import { breakShaders } from './break-shaders.ts'
import { serve } from './served.ts'

let opened: Promise<Gpu | null> | null = null

/** Kept, and one model with it: shaders that were compiled for it serve the others. */
async function gpuHere(): Promise<Gpu> {
  opened ??= openGpu({ takesSoftware: true })
  const gpu = await opened
  if (!gpu) throw new Error('no GPU is open')
  return gpu
}

type OnGpu = { model: LoadedModel; layers: GpuLayers; close(): Promise<void> }

async function loadOnGpu(source: RangeSource, budgetBytes = Infinity): Promise<OnGpu> {
  const gpu = await gpuHere()
  const backend = await createWasmBackend(createWebHost(), { threads: 1 })
  const model = await loadModel(source, backend)
  const { config, held } = model
  const layers = createGpuLayers({ gpu, backend, config, budgetBytes })
  const close = async () => {
    await layers.free()
    backend.close()
  }
  try {
    for (const [layer, { shard, region }] of held.slice(0, config.nLayers).entries())
      await layers.load(layer, shard, region)
    return { model, layers, close }
  } catch (thrown) {
    await close()
    throw thrown
  }
}

async function layersUnderTest(gguf: Uint8Array): Promise<LayersUnderTest> {
  const { layers, close } = await loadOnGpu(bytesSource(gguf))
  return { layers, close: () => void close() }
}

const kept = () => loadOnGpu(bytesSource(tinyModel()))

/** Rows that a conversation runs through all layers. */
const runRows = ({ model, layers }: OnGpu, position: number, rows: number) => {
  const { dim, nLayers } = model.config
  const hidden = randomNumbers(position, rows * dim)
  return runAlone(layers, { plan: 1, session: 1, position, layer: 0, rows, hidden }, nLayers)
}

const errorText = ({ code, message }: EngineError) => `${code}: ${message}`

serve({
  /** Null where WebGPU is not to be had. */
  async open(): Promise<string | null> {
    opened = openGpu({ takesSoftware: true })
    const gpu = await opened
    if (gpu) await kept()
    return gpu && gpu.name
  },

  contract: () => layersContract.map(({ title }) => title),
  async runCase(title: string) {
    await layersContract.find((layersCase) => layersCase.title === title)!.run(layersUnderTest)
  },

  /** KL of what a model whose layers are on the GPU says from what it should. */
  async divergences(url: string, cases: GoldenCase[]): Promise<number[]> {
    const source = createUrlSource(url)
    const { layers, close } = await loadOnGpu(source)
    // Kernels round what goes into the output to int8, which says nothing of the layers.
    const judge = await createReferenceBackend()
    const { config, head } = await loadModel(source, judge)
    const found: number[] = []
    for (const [session, { tokens, top }] of cases.entries())
      found.push(divergence(top, await nextProbabilities({ config, layers, head }, tokens, { session })))
    await close()
    judge.close()
    return found
  },

  breakShaders,

  async load(type: WeightType): Promise<number[]> {
    const { layers, close } = await loadOnGpu(bytesSource(tinyModel({ type })))
    const loaded = layers.loaded()
    await close()
    return loaded
  },

  /** A conversation that grows until there is no room for it within `budgetBytes`, and one that may not even begin. */
  async grow(budgetBytes: number): Promise<{ held: number; positions: number; said: string; after: number }> {
    const onGpu = await loadOnGpu(bytesSource(tinyModel()), budgetBytes)
    let positions = 0
    let said = ''
    while (said === '' && positions < 4096) {
      said = await runRows(onGpu, positions, 64).then(() => '', errorText)
      if (said === '') positions += 64
    }
    const held = onGpu.layers.memoryBytes()
    // What it had goes on as if nobody had asked for more.
    const after = (await runRows(onGpu, positions - 1, 1)).rows
    await onGpu.close()
    return { held, positions, said, after }
  },

  async lose(): Promise<string> {
    const onGpu = await loadOnGpu(bytesSource(tinyModel()))
    await runRows(onGpu, 0, 2)
    const gpu = await gpuHere()
    gpu.device.destroy()
    return runRows(onGpu, 2, 1).then(String, errorText)
  },
})
