/**
 * The threads of a backend, which share its memories: started, sent into the kernels' loop, let out of it, ended.
 *
 * A thread in the loop is deaf to messages. To tell it anything, the kernels let all threads leave; they go in again
 * with all memories and with the number of the last job. A job that is announced before they are back is done without them.
 *
 * @module
 */
import type { Arenas } from './wasm-arenas.ts'
import type { Thread, WasmHost } from './wasm-host.ts'

export type Threads = {
  /** The caller's included. */
  count(): number
  /**
   * As many as wanted, or as the browser grants: one that does not start is done without.
   *
   * @throws EngineError 'out-of-memory', and nothing changed
   */
  setCount(count: number): Promise<void>
  close(): void
}

export function createThreads(host: WasmHost, module: WebAssembly.Module, arenas: Arenas): Threads {
  const { kernels } = arenas.first
  let threads: Thread[] = []

  const memories = () => arenas.all.map(({ memory }) => memory)

  /** `act` while all threads are outside the loop. They stay there, or in it, once one of them has failed. */
  function regroup(act: () => void): void {
    const areLost = threads.length > 0 && kernels.leave() === 1
    try {
      act()
    } finally {
      if (!areLost)
        for (const thread of threads) thread.enter({ memories: memories(), seen: kernels.lastJob() })
    }
  }

  /** Started, and outside the loop. */
  async function spawn(thread: number): Promise<Thread | null> {
    try {
      return await host.spawn({ module, memories: memories(), thread })
    } catch {
      return null
    }
  }

  arenas.listen(() => regroup(() => {}))
  return {
    count: () => threads.length + 1,
    async setCount(count) {
      const started: Thread[] = []
      for (let thread = threads.length + 1; thread < count; thread++) {
        const one = await spawn(thread)
        if (!one) break
        started.push(one)
      }
      regroup(() => {
        const wanted = [...threads, ...started].slice(0, count - 1)
        try {
          arenas.setThreads(wanted.length + 1)
        } catch (thrown) {
          for (const thread of started) thread.terminate()
          throw thrown
        }
        for (const thread of threads) if (!wanted.includes(thread)) thread.terminate()
        threads = wanted
      })
    },
    close() {
      for (const thread of threads) thread.terminate()
    },
  }
}
