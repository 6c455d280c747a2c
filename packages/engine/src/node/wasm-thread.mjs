/**
 * A thread of the WASM backend under Node: runs the kernels' loop until the backend is closed.
 *
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads'

const { module, memory, thread } = workerData
const { exports: kernels } = new WebAssembly.Instance(module, { env: { memory } })
parentPort.postMessage('ready')
try {
  kernels.threadLoop(thread)
} catch (thrown) {
  kernels.abandon()
  throw thrown
}
