/**
 * What the WASM backend needs from where it runs: the browser's worker (wasm-host-web.ts) or Node (node/wasm-host.ts).
 *
 * @module
 */
import type { Variant } from './wasm-kernels.ts'

export interface WasmHost {
  /** False in a page that is not cross-origin isolated: then one thread. */
  readonly sharedMemory: boolean
  compile(variant: Variant): Promise<WebAssembly.Module>
  /** Starts a thread; resolves when it is about to enter its loop. @throws when it cannot be started */
  spawn(start: ThreadStart): Promise<Thread>
}

/** The first message to a thread. It answers with anything once the kernels are instantiated, then runs threadLoop. */
export type ThreadStart = {
  module: WebAssembly.Module
  memory: WebAssembly.Memory
  /** From 1 on; 0 is the caller's. */
  thread: number
}

export type Thread = { terminate(): void }
