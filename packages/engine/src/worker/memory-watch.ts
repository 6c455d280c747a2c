/**
 * How much memory this tab's engine takes, now and at most, against what its person allows.
 *
 * @module
 */
import type { Backend } from '../backend/backend.ts'
import type { EngineReport } from './messages.ts'

export type MemoryReport = Pick<
  EngineReport,
  'memoryBytes' | 'peakMemoryBytes' | 'reservedBytes' | 'pressure' | 'peakPressure'
>

/**
 * @param bufferBytes what is held outside the backend
 * @param budgetBytes as it is now
 * @returns looks, and says what it sees
 */
export function createMemoryWatch(
  backend: Backend,
  bufferBytes: () => number,
  budgetBytes: () => number,
): () => MemoryReport {
  let peakMemoryBytes = 0
  let peakPressure = 0
  return () => {
    const memoryBytes = backend.memoryBytes() + bufferBytes()
    const reservedBytes = backend.reservedBytes() + bufferBytes()
    const pressure = memoryBytes / Math.max(1, budgetBytes())
    peakMemoryBytes = Math.max(peakMemoryBytes, memoryBytes)
    peakPressure = Math.max(peakPressure, pressure)
    return { memoryBytes, peakMemoryBytes, reservedBytes, pressure, peakPressure }
  }
}
