/**
 * The GPU, as a device's worker opens it.
 *
 * @module
 */
import type { ModelProfile } from '@hearth/halda'
import { wasmPacking } from '../../../packages/engine/src/backend/wasm-packing.ts'
import type { Gpu } from '../../../packages/engine/src/gpu/gpu.ts'
import { openGpu } from '../../../packages/engine/src/gpu/open-gpu.ts'
import { measureGpu, type GpuSpeed } from '../../../packages/engine/src/worker/profile/gpu-speed.ts'
import { breakShaders } from './break-shaders.ts'
import { serve } from './served.ts'

let opened: Gpu | null = null

const here = (): Gpu => {
  if (opened === null) throw new Error('no GPU is open')
  return opened
}

serve({
  async open(takesSoftware: boolean): Promise<{ name: string; bindingBytes: number } | null> {
    opened = await openGpu({ takesSoftware })
    return opened && { name: opened.name, bindingBytes: opened.device.limits.maxStorageBufferBindingSize }
  },

  /** What was fetched of the runtime. */
  fetched: () =>
    performance
      .getEntriesByType('resource')
      .map(({ name }) => new URL(name).pathname.split('/').at(-1)!)
      .filter((name) => name.startsWith('ort')),

  /** As in Safari 26. */
  withoutJspi() {
    Reflect.deleteProperty(WebAssembly, 'Suspending')
  },

  breakShaders,

  async roundTrip(values: number[]): Promise<{ read: number[]; heldBytes: number; leftBytes: number }> {
    const gpu = here()
    const buffer = await gpu.buffer(values.length)
    gpu.write(buffer, Uint8Array.from(values))
    const read = [...(await gpu.read(buffer, values.length))]
    const heldBytes = gpu.heldBytes()
    gpu.free(buffer)
    return { read, heldBytes, leftBytes: gpu.heldBytes() }
  },

  take: async (byteLength: number) => void (await here().buffer(byteLength)),

  /** As a device measures itself; and again with too little memory for one layer. */
  async measure(
    model: ModelProfile | null,
  ): Promise<{ speed: GpuSpeed | null; none: GpuSpeed | null; ms: number }> {
    const gpu = here()
    const startMs = performance.now()
    const speed = await measureGpu(gpu, wasmPacking, model, 1e9)
    const ms = performance.now() - startMs
    if (gpu.heldBytes() > 0) throw new Error(`${gpu.heldBytes()} bytes are left of measuring`)
    return { speed, none: await measureGpu(gpu, wasmPacking, model, 1e4), ms }
  },

  /** Makes a mistake that only the device sees. @returns what is said of it */
  async misuse(): Promise<string> {
    const gpu = here()
    gpu.device.queue.writeBuffer(await gpu.buffer(16), 0, new Uint8Array(64))
    return (await gpu.lost).message
  },

  /** Loses the device under our hands. @returns what is said of it, and what somebody is told who goes on */
  async lose(): Promise<string[]> {
    const gpu = here()
    const buffer = await gpu.buffer(16)
    gpu.device.destroy()
    const { message } = await gpu.lost
    return [message, await gpu.read(buffer).then(String, ({ message }: Error) => message)]
  },
})
