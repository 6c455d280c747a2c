/**
 * Which devices run short of memory: the sets M1…M4 of the paper, on which the linear objective depends and which
 * depend on its solution.
 *
 * @module
 */
import {
  budgetBytes,
  reservedBytes,
  type PaperDevice,
  type PaperProblem,
  type PaperSplit,
} from './paper-problem.ts'

/** M1 macOS without Metal, M2 macOS with Metal, M3 Linux: all three overloaded. M4: not overloaded. */
export type DeviceSet = 'M1' | 'M2' | 'M3' | 'M4'

/** Devices whose disk is slower than this are never overloaded on purpose (prima.cpp: 0.1 GB/s). */
export const slowDiskBytesPerSec = 0.1e9

/**
 * Sets of all devices under a split.
 *
 * @param forced devices that the calibration step wants in M4
 */
export function assignSets(
  problem: PaperProblem,
  { k, w, n }: PaperSplit,
  forced: ReadonlySet<number>,
): DeviceSet[] {
  return problem.devices.map((device, m) => {
    if (forced.has(m) || device.diskBytesPerSec < slowDiskBytesPerSec) return 'M4'
    const onGpu = device.os === 'linux' ? (n[m] ?? 0) : 0
    const needed = k * ((w[m] ?? 0) - onGpu) * problem.layerMemoryBytes + reservedBytes(problem, device, m)
    return needed > budgetBytes(device) ? overloadedSet(device) : 'M4'
  })
}

function overloadedSet(device: PaperDevice): DeviceSet {
  if (device.os === 'linux') return 'M3'
  return device.gpu === 'metal' ? 'M2' : 'M1'
}
