/**
 * What this device can do, measured with the kernels and the store that it will use: some two seconds for the usual
 * weight types, half of one for those of a model. It yields every few hundredths of a second.
 *
 * @module
 */
import type { ModelProfile } from '@hearth/halda'
import type { Backend } from '../../backend/backend.ts'
import { breathe } from '../../breathe.ts'
import type { ShardStore } from '../../store/shard-store.ts'
import { measureDisk, type DiskSpeed, type LentReader } from './disk-speed.ts'
import { measureLayerCosts, type LayerCosts } from './layer-costs.ts'
import { isWeightType, shapeOf, usualShape } from './layer-shape.ts'
import { measureProducts, type ProductRates } from './product-rates.ts'
import { steadyTimeMs } from './steady-time.ts'
import { median } from '../../median.ts'

export type ComputeSpeed = ProductRates & LayerCosts & { headFixedMs: number }

export type MeasuredDevice = ComputeSpeed & DiskSpeed & { measuredAtMs: number }

/** What most files have; others are measured when a model that has them is chosen. */
const usualTypes = ['F32', 'F16', 'Q8_0', 'Q4_0', 'Q4_K', 'Q6_K'] as const

/**
 * The usual weight types at a usual shape, and the store.
 *
 * @param mostBytes of memory that it may take
 * @throws EngineError of {@link measureDisk}
 */
export async function measureDevice(
  backend: Backend,
  store: ShardStore,
  lendReader: () => LentReader,
  mostBytes: number,
): Promise<MeasuredDevice> {
  return {
    ...(await measureProducts(backend, usualTypes, usualShape, mostBytes)),
    ...(await measureLayerCosts(backend, usualShape)),
    headFixedMs: await measureHead(backend),
    ...(await measureDisk(backend, store, lendReader, mostBytes)),
    measuredAtMs: Date.now(),
  }
}

/** The types of a model at its shapes, in memory as large as it, up to twice a usual cache. */
export async function measureForModel(
  backend: Backend,
  model: ModelProfile,
  mostBytes: number,
): Promise<ComputeSpeed> {
  const used = [...model.layerBytes, model.outputBytes]
  const types = new Set(used.flatMap((bytes) => Object.keys(bytes)).filter(isWeightType))
  const modelBytes = used.flatMap((bytes) => Object.values(bytes)).reduce((sum, bytes) => sum + bytes, 0)
  const shape = shapeOf(model, backend.packing)
  return {
    ...(await measureProducts(backend, [...types], shape, Math.min(mostBytes, modelBytes))),
    ...(await measureLayerCosts(backend, shape)),
    headFixedMs: await measureHead(backend),
  }
}

const headCols = 2048
const turns = 50

/** An embedding row, and a turn of the worker's loop, which lets messages in and the token out. */
async function measureHead(backend: Backend): Promise<number> {
  const { packing } = backend
  const region = backend.region(packing.groupBytes('Q8_0', headCols))
  const x = backend.scratch(headCols)
  try {
    const w = backend.matrix(region, 0, 'Q8_0', packing.rowGroup, headCols)
    const embedMs = await steadyTimeMs(() => backend.embed(x, w, [0]))
    const turnsMs: number[] = []
    for (let turn = 0; turn < turns; turn++) {
      const startMs = performance.now()
      await breathe()
      turnsMs.push(performance.now() - startMs)
    }
    return embedMs + median(turnsMs)
  } finally {
    x.free()
    region.free()
  }
}
