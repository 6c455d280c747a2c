/**
 * The WASM backend under Node: kernels from packages/engine/build, threads as worker threads.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import type { Thread, ThreadStart, WasmHost } from '../backend/wasm-host.ts'
import { chooseArithmetic } from '../backend/wasm-kernels.ts'

export function createNodeHost(): WasmHost {
  // Node 20 knows relaxed SIMD, behind a flag; from 21 on it is simply there. Its baseline compiler (V8 11.3) forgets
  // the third operand of relaxed_dot_add, so the optimizing one has to do it all
  if (chooseArithmetic() === 'simd') {
    setFlagsFromString('--experimental-wasm-relaxed-simd')
    setFlagsFromString('--no-liftoff')
  }
  return {
    sharedMemory: true,
    compile: async (variant) =>
      WebAssembly.compile(await readFile(new URL(`../../build/${variant}.wasm`, import.meta.url))),
    spawn,
  }
}

function spawn(start: ThreadStart): Promise<Thread> {
  // plain JavaScript: a worker thread does not inherit what makes this one read TypeScript
  const worker = new Worker(new URL('./wasm-thread.mjs', import.meta.url), { workerData: start })
  return new Promise((resolve, reject) => {
    worker.once('message', () => {
      worker.unref() // a sleeping thread keeps no process alive
      resolve({
        enter: (entry) => worker.postMessage(entry),
        terminate: () => void worker.terminate(),
      })
    })
    worker.once('error', reject)
  })
}
