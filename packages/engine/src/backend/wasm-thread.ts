/**
 * A thread of the WASM backend in a browser: a nested worker that runs the kernels' loop until it is let go.
 *
 * @module
 */
import type { ThreadEntry, ThreadStart } from './wasm-host.ts'
import { createInstances } from './wasm-instances.ts'
import type { Kernels } from './wasm-kernels.ts'

let memories: readonly WebAssembly.Memory[]
let kernels: Kernels
let thread: number

addEventListener('message', ({ data }: MessageEvent<ThreadStart | ThreadEntry>) => {
  memories = data.memories
  if ('seen' in data) return work(data.seen)
  thread = data.thread
  kernels = createInstances(data.module, (arena) => memories[arena]!)(0)
  postMessage('ready')
})

function work(seen: number): void {
  try {
    kernels.threadLoop(thread, seen)
  } catch (thrown) {
    kernels.abandon()
    throw thrown
  }
}
