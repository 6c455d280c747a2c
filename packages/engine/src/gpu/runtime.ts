/**
 * onnxruntime-web, fetched when there is a GPU to run it on and no sooner: 17 MB of WebAssembly, 27 without JSPI.
 *
 * The two entry points are the same runtime with its native WebGPU provider. One lets WebAssembly wait for promises by
 * itself (JSPI: Chrome 137, Firefox 153, Safari 27), the other was rewritten to be able to (Asyncify). The package's
 * default entry is another provider, which is to be removed and which refuses 8-bit weights.
 *
 * @module
 */
import type { env, InferenceSession, Tensor } from 'onnxruntime-web'

export type Runtime = {
  InferenceSession: typeof InferenceSession
  Tensor: typeof Tensor
  env: typeof env
}
export type { InferenceSession, Tensor }

let loading: Promise<Runtime> | null = null

/** @throws what the network or the browser says; the next call tries again */
export function loadRuntime(): Promise<Runtime> {
  loading ??= load().catch((thrown) => {
    loading = null
    throw thrown
  })
  return loading
}

async function load(): Promise<Runtime> {
  const runtime: Runtime =
    'Suspending' in WebAssembly
      ? await import('onnxruntime-web/jspi')
      : await import('onnxruntime-web/webgpu')
  // The GPU does the work: threads of its own would only take cores from the kernels.
  runtime.env.wasm.numThreads = 1
  runtime.env.logLevel = 'error'
  return runtime
}
