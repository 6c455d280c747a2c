/**
 * A thread of the WASM backend in a browser: a nested worker that runs the kernels' loop until the backend is closed.
 *
 * @module
 */
import type { ThreadStart } from './wasm-host.ts'
import type { Kernels } from './wasm-kernels.ts'

addEventListener('message', (event: MessageEvent<ThreadStart>) => {
  const { module, memory, thread } = event.data
  const { exports } = new WebAssembly.Instance(module, { env: { memory } })
  const kernels = exports as Kernels
  postMessage('ready')
  try {
    kernels.threadLoop(thread)
  } catch (thrown) {
    kernels.abandon()
    throw thrown
  }
  close()
})
