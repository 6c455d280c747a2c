/**
 * How many threads to work with: as many as make decoding faster on this machine, now. Cores are not alike on phones,
 * and one core may be all that memory needs.
 *
 * @module
 */
import type { WasmHost } from './wasm-host.ts'
import { createWasmBackend, type WasmBackend, type WasmBackendOptions } from './wasm.ts'

/** More threads must take so much off the time, or they only heat the device. */
const leastGain = 0.1

/**
 * Doubles the number of threads while that helps. Where it does not seem to, it is tried once more: another program on
 * one core holds all threads up.
 *
 * @param timeMs what the same work takes with so many threads
 */
export async function chooseThreads(
  most: number,
  timeMs: (threads: number) => Promise<number>,
): Promise<number> {
  let best = 1
  let bestMs = await timeMs(best)
  while (best < most) {
    const more = Math.min(best * 2, most)
    const enoughMs = bestMs * (1 - leastGain)
    let moreMs = await timeMs(more)
    if (moreMs > enoughMs) moreMs = await timeMs(more)
    if (moreMs > enoughMs) break
    best = more
    bestMs = moreMs
  }
  return best
}

/**
 * A backend with as many threads as help, at most `options.maxThreads`. Measuring takes some 300 ms.
 *
 * @throws EngineError of {@link createWasmBackend}
 */
export async function createMeasuredBackend(
  host: WasmHost,
  options: Omit<WasmBackendOptions, 'threads'> & { maxThreads: number },
): Promise<WasmBackend> {
  const backend = await createWasmBackend(host, { ...options, threads: 1 })
  if (!host.sharedMemory || options.maxThreads === 1) return backend
  const work = createWork(backend)
  // a browser's first compiler is fast to compile, not to run; its second one takes over meanwhile
  work.timeMs(warmUpMs)
  const threads = await chooseThreads(options.maxThreads, async (count) => {
    await backend.setThreads(count)
    return work.timeMs(trialMs)
  })
  work.free()
  await backend.setThreads(threads)
  return backend
}

const warmUpMs = 40
const trialMs = 50
/** Together more than most caches hold; each so short that other programs miss some of its runs. */
const pieces = 8
const pieceBytes = 4 * 2 ** 20
const cols = 2048
const type = 'Q4_0'

/** What decoding does most: one row times weights that come from memory. */
function createWork(backend: WasmBackend) {
  const { packing } = backend
  const groupBytes = packing.groupBytes(type, cols)
  const groups = Math.floor(pieceBytes / groupBytes)
  const rows = groups * packing.rowGroup
  const regions = Array.from({ length: pieces }, () => backend.region(groups * groupBytes))
  // memory that was never written to may all be one page of zeros
  for (const region of regions) region.bytes().fill(0)
  const weights = regions.map((region) => backend.matrix(region, 0, type, rows, cols))
  const x = backend.scratch(cols)
  const out = backend.scratch(rows)
  return {
    /** Rounds for so long, three at least. @returns what all pieces take, each at its best */
    timeMs(durationMs: number): number {
      const best = weights.map(() => Infinity)
      const startMs = performance.now()
      for (let round = 0; round < 3 || performance.now() - startMs < durationMs; round++) {
        for (const [i, w] of weights.entries()) {
          const fromMs = performance.now()
          backend.matmul([{ out, w }], x, 1)
          best[i] = Math.min(best[i]!, performance.now() - fromMs)
        }
      }
      return best.reduce((sum, ms) => sum + ms, 0)
    },
    free() {
      for (const thing of [...regions, x, out]) thing.free()
    },
  }
}
