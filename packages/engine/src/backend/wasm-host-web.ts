/**
 * The WASM backend in a browser's worker: kernels from beside the bundle, threads as nested workers.
 *
 * The URLs are written out so that vite finds and bundles what they name.
 *
 * @module
 */
import type { Thread, ThreadStart, WasmHost } from './wasm-host.ts'
import type { Variant } from './wasm-kernels.ts'

const kernelUrls: Record<Variant, () => URL> = {
  relaxed: () => new URL('../../build/relaxed.wasm', import.meta.url),
  'relaxed-threads': () => new URL('../../build/relaxed-threads.wasm', import.meta.url),
  'relaxed-short': () => new URL('../../build/relaxed-short.wasm', import.meta.url),
  'relaxed-short-threads': () => new URL('../../build/relaxed-short-threads.wasm', import.meta.url),
  simd: () => new URL('../../build/simd.wasm', import.meta.url),
  'simd-threads': () => new URL('../../build/simd-threads.wasm', import.meta.url),
  scalar: () => new URL('../../build/scalar.wasm', import.meta.url),
  'scalar-threads': () => new URL('../../build/scalar-threads.wasm', import.meta.url),
}

export function createWebHost(): WasmHost {
  return {
    sharedMemory: self.crossOriginIsolated,
    compile: async (variant) => WebAssembly.compile(await (await fetch(kernelUrls[variant]())).arrayBuffer()),
    spawn,
  }
}

function spawn(start: ThreadStart): Promise<Thread> {
  const worker = new Worker(new URL('./wasm-thread.ts', import.meta.url), { type: 'module' })
  return new Promise((resolve, reject) => {
    const thread: Thread = {
      enter: (entry) => worker.postMessage(entry),
      terminate: () => worker.terminate(),
    }
    worker.addEventListener('message', () => resolve(thread), { once: true })
    worker.addEventListener('error', (event) => reject(new Error(event.message || 'a worker did not start')))
    worker.postMessage(start)
  })
}
