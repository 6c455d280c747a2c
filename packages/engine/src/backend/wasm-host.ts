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
  /** Starts a thread; resolves when it listens to {@link Thread.enter}. @throws when it cannot be started */
  spawn(start: ThreadStart): Promise<Thread>
}

/** Of all arenas, in order: jobs may be in any of them. */
type Memories = { memories: readonly WebAssembly.Memory[] }

/** The first message to a thread, which answers with anything once it listens. From 1 on; 0 is the caller's. */
export type ThreadStart = Memories & { module: WebAssembly.Module; thread: number }

/** Every further message: work, from the job after number `seen`, until the kernels let the thread leave. */
export type ThreadEntry = Memories & { seen: number }

export type Thread = {
  enter(entry: ThreadEntry): void
  terminate(): void
}
