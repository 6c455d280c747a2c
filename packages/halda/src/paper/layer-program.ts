/**
 * The integer program for given sets and a given k: equations (6)–(10) and (27)–(36) of the paper, with the
 * strict inequalities of the overloaded sets relaxed as prima.cpp does.
 *
 * @module
 */
import type { DeviceSet } from './device-sets.ts'
import type { MilpColumn, MilpProgram, MilpRow } from './milp.ts'
import {
  budgetBytes,
  diskMs,
  gpuRoomLayers,
  reservedBytes,
  type PaperDevice,
  type PaperProblem,
} from './paper-problem.ts'

/**
 * Columns w0…, n0…; its cost leaves out what every split pays, which is {@link constantMs}.
 *
 * @param headPriority divides the cost of the head's layers (prima.cpp's --master-priority; 1 in the paper)
 */
export function layerProgram(
  problem: PaperProblem,
  sets: readonly DeviceSet[],
  k: number,
  headPriority: number,
): MilpProgram {
  const W = problem.nLayers / k
  const columns: MilpColumn[] = []
  const rows: MilpRow[] = []
  const all: Record<string, number> = {}

  for (const [m, device] of problem.devices.entries()) {
    const [w, n] = [`w${m}`, `n${m}`]
    const { a, b } = costPerLayer(problem, device, sets[m] ?? 'M4')
    columns.push({
      name: w,
      cost: (k * a) / (m === 0 ? headPriority : 1),
      lower: 1,
      upper: problem.nLayers,
      isInteger: true,
    })
    columns.push({ name: n, cost: k * b, lower: 0, upper: problem.nLayers, isInteger: true })
    all[w] = 1

    rows.push({ name: `within${m}`, coefficients: { [n]: 1, [w]: -1 }, is: '<=', right: 0 })

    // k·(layers in RAM)·b' ≤ budget − reserved without overload, ≥ with it; divided by k·b'.
    const room = (budgetBytes(device) - reservedBytes(problem, device, m)) / (k * problem.layerMemoryBytes)
    const inRam = device.os === 'linux' && device.gpu !== 'none' ? { [w]: 1, [n]: -1 } : { [w]: 1 }
    rows.push(
      sets[m] === 'M4'
        ? { name: `ram${m}`, coefficients: inRam, is: '<=', right: room }
        : { name: `ram${m}`, coefficients: negated(inRam), is: '<=', right: -room },
    )
    rows.push({
      name: `gpu${m}`,
      coefficients: { [n]: 1 },
      is: '<=',
      right: gpuRoomLayers(problem, device, m) / k,
    })
  }
  rows.push({ name: 'all', coefficients: all, is: '=', right: W })
  return { columns, rows }
}

/** k·Σξ and κ: the same for every split of given sets and k. */
export function constantMs(problem: PaperProblem, sets: readonly DeviceSet[], k: number): number {
  let total = problem.outputMs
  for (const [m, device] of problem.devices.entries()) {
    total += k * device.xiMs
    if (m === 0) total += diskMs(device, problem.inputRowBytes)
    if (m === 0 && sets[m] !== 'M4') total += diskMs(device, problem.outputBytes)
    if (sets[m] === 'M1' || sets[m] === 'M3') total += diskMs(device, device.cpuBufferBytes - device.ramBytes)
  }
  return total
}

/** Vectors a and b: what a layer adds on this device, and what changes when it is on the GPU. */
function costPerLayer(problem: PaperProblem, device: PaperDevice, set: DeviceSet): { a: number; b: number } {
  const { alphaMs: alpha, betaMs: beta } = device
  const reload = diskMs(device, problem.layerMemoryBytes)
  if (set === 'M1') return { a: alpha + reload, b: 0 }
  if (set === 'M2') return { a: alpha + diskMs(device, problem.layerBytes), b: beta }
  if (set === 'M3') return { a: alpha + reload, b: device.gpu === 'none' ? 0 : beta - reload }
  return { a: alpha, b: device.gpu === 'none' ? 0 : beta }
}

const negated = (coefficients: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(coefficients).map(([name, value]) => [name, -value]))
