/**
 * From nothing to a GPU that is known to compute right, in the engine's worker.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { computesRight } from './gpu-check.ts'
import { createGpu, type Gpu } from './gpu.ts'
import { loadRuntime } from './runtime.ts'

export type OpenGpuOptions = {
  /** Also one that is only a program on the processor, which is slower than our kernels there: for tests. */
  takesSoftware?: boolean
}

/**
 * Halves what is read for f16 operands, and lets products share sums between lanes; neither is needed. With subgroups of
 * four lanes, as SwiftShader's, onnxruntime 1.30's attention over 32 rows and more is wrong from the fifth row on.
 */
function wantedFeatures({ features, info }: GPUAdapter): GPUFeatureName[] {
  const wanted: GPUFeatureName[] = ['shader-f16']
  if (info.subgroupMinSize >= 8) wanted.push('subgroups')
  return wanted.filter((feature) => features.has(feature))
}

export type FoundGpu = {
  /** As of {@link Gpu}. */
  readonly name: string
  /** To be called once. @throws EngineError 'gpu-refused' when it cannot be used */
  open(): Promise<Gpu>
}

/** Takes a moment and fetches nothing. @returns null where the browser offers no GPU */
export async function findGpu({ takesSoftware = false }: OpenGpuOptions = {}): Promise<FoundGpu | null> {
  const adapter = await findAdapter(takesSoftware)
  if (adapter === null) return null
  const name = nameOf(adapter.info)
  return { name, open: () => openAdapter(adapter, name) }
}

/**
 * Nothing is fetched where there is no GPU.
 *
 * @returns null where the browser offers none
 * @throws EngineError 'gpu-refused' where there is one that cannot be used
 */
export async function openGpu(options: OpenGpuOptions = {}): Promise<Gpu | null> {
  return (await findGpu(options))?.open() ?? null
}

async function openAdapter(adapter: GPUAdapter, name: string): Promise<Gpu> {
  let gpu: Gpu | null = null
  try {
    const device = await adapter.requestDevice({
      requiredFeatures: wantedFeatures(adapter),
      requiredLimits: allLimits(adapter.limits),
    })
    gpu = createGpu(name, device, await loadRuntime())
    if (!(await computesRight(gpu))) throw new Error('it gave wrong results in a test')
    if (gpu.problem()) throw gpu.problem()!
    return gpu
  } catch (thrown) {
    gpu?.close()
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new EngineError(
      'gpu-refused',
      `The GPU of this device (${name}) cannot be used: ${reason}. Hearth computes on the processor. Update the browser and the graphics driver.`,
      { cause: thrown },
    )
  }
}

async function findAdapter(takesSoftware: boolean): Promise<GPUAdapter | null> {
  if (!('gpu' in navigator)) return null
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' })
  return adapter !== null && (takesSoftware || !isSoftware(adapter.info)) ? adapter : null
}

/** Firefox 141 to 147 do not say `isFallbackAdapter`; they have no software adapters either. */
const isSoftware = ({ isFallbackAdapter, architecture }: GPUAdapterInfo): boolean =>
  isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|warp/.test(architecture)

/** Browsers leave empty what would tell people apart. */
function nameOf({ description, vendor, architecture, device }: GPUAdapterInfo): string {
  const parts = description ? [description] : [vendor, architecture || device]
  return parts.filter((part) => part !== '').join(' ') || 'unnamed'
}

/** A device has the defaults of the specification, 128 MiB in one binding, unless it asks for what the adapter offers. */
function allLimits(limits: GPUSupportedLimits): Record<string, number> {
  const offered: Record<string, number> = {}
  for (const name in limits) {
    const limit = limits[name as keyof GPUSupportedLimits]
    if (typeof limit === 'number') offered[name] = limit
  }
  return offered
}
