/**
 * This device's GPU as its engine uses it: looked for when the page opens, opened when something is to run on it, within
 * what its person allows, and not used any more once it failed. Then layers run on the processor.
 *
 * @module
 */
import { toEngineError, type EngineError } from '../errors.ts'
import type { Gpu } from '../gpu/gpu.ts'
import type { FoundGpu } from '../gpu/open-gpu.ts'
import type { GpuView } from '../page/cluster.ts'

export type OwnGpuOptions = {
  /** Resolves to null where the browser offers none. */
  find(): Promise<FoundGpu | null>
  /** 0 switches it off: then it is not opened. */
  budgetBytes: number
  /** Whether there is one, and whether it works; called when that changes. */
  onchange(view: GpuView | null): void
}

export interface OwnGpu {
  /** Of the GPU that may be used now; null where there is none, it is switched off, or it failed. */
  name(): Promise<string | null>
  /** The same, opened; the first call takes a second and fetches the runtime. */
  open(): Promise<Gpu | null>
  /** What its layers may fill; 0 where it may not be used. */
  budgetBytes(): number
  setBudget(bytes: number): void
}

export function createOwnGpu({ find, onchange, ...options }: OwnGpuOptions): OwnGpu {
  let budgetBytes = options.budgetBytes
  let problem: EngineError | null = null
  let opening: Promise<Gpu | null> | null = null
  const finding = find().catch(() => null)
  const isUsable = () => budgetBytes > 0 && problem === null

  async function tell(): Promise<void> {
    const found = await finding
    onchange(found && { name: found.name, problem: problem?.message ?? null })
  }

  function fail(thrown: unknown): void {
    problem = toEngineError(thrown)
    void tell()
  }

  async function openFound(): Promise<Gpu | null> {
    const found = await finding
    if (found === null) return null
    try {
      const gpu = await found.open()
      void gpu.lost.then(fail)
      return gpu
    } catch (thrown) {
      fail(thrown)
      return null
    }
  }

  void tell()
  return {
    name: async () => (isUsable() ? ((await finding)?.name ?? null) : null),
    async open() {
      if (!isUsable()) return null
      const gpu = await (opening ??= openFound())
      return isUsable() ? gpu : null
    },
    budgetBytes: () => (isUsable() ? budgetBytes : 0),
    setBudget(bytes) {
      budgetBytes = bytes
    },
  }
}
