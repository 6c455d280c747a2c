/**
 * A thread of the WASM backend under Node: what backend/wasm-thread.ts and wasm-instances.ts are in a browser, in plain
 * JavaScript, because a worker thread does not inherit what makes its parent read TypeScript.
 *
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads'

const { module, thread } = workerData
let { memories } = workerData
const instances = []
const kernelsOf = (arena) => (instances[arena] ??= instantiate(memories[arena]))
const arenas = {
  announce: (arena) => kernelsOf(0).announceFor(arena),
  join: () => kernelsOf(0).joinThreads(),
  takePart: (arena, thread) => kernelsOf(arena).takePart(thread),
}

function instantiate(memory) {
  return new WebAssembly.Instance(module, { env: { memory }, arenas }).exports
}

const kernels = kernelsOf(0)
parentPort.on('message', (entry) => {
  memories = entry.memories
  try {
    kernels.threadLoop(thread, entry.seen)
  } catch (thrown) {
    kernels.abandon()
    throw thrown
  }
})
parentPort.postMessage('ready')
