/**
 * distilp's variant of the problem (github.com/firstbatchxyz/distilp at 43eda2e), kept for its cost: read-ahead overlaps
 * with what other devices compute, so more than one round can pay.
 *
 * What differs from the paper: RAM bounds the layers of one window rather than all, layers above it are slack that costs
 * its reload, and rounds after the first cost the cycle time C: a device is busy for B, waits z, and reads its next
 * window in F while others are busy: C ≥ B + z and z ≥ F − (C − B). Its inputs are FLOPS, and its KV cache and weights
 * carry overheads of MLX. Macs with Metal only.
 *
 * @module
 */
import type { MilpColumn, MilpProgram, MilpRow, MilpSolver } from './milp.ts'

export type MacProfile = {
  name: string
  cpuFlops: number
  gpuFlops: number
  /** Register-load rates [T^cpu, T^gpu]. */
  cpuBytesPerSec: number
  gpuBytesPerSec: number
  /** K and V of one token into the cache. */
  kvCopySec: number
  hopSec: number
  diskBytesPerSec: number
  metalBytes: number
  cpuBufferBytes: number
  gpuBufferBytes: number
}

export type MacModel = {
  nLayers: number
  layerBytes: number
  inputBytes: number
  outputBytes: number
  /** For one token. */
  layerFlops: number
  outputFlops: number
  vocabSize: number
  /** h_k e_k + h_v e_v */
  kvElementsPerPosition: number
  positions: number
}

export type MacSplit = { k: number; w: number[]; n: number[]; objectiveSec: number }

/** [b'] Weights with 15 % for MLX, KV cache with two bytes of scale per group of 64. */
export const layerMemoryBytes = (model: MacModel, bytesPerElement: number): number =>
  Math.trunc(
    1.15 * model.layerBytes + (1 + 2 / 64) * bytesPerElement * model.kvElementsPerPosition * model.positions,
  )

/** [α] */
export const alphaSec = (mac: MacProfile, model: MacModel, memoryBytes: number): number =>
  model.layerFlops / mac.cpuFlops + mac.kvCopySec + memoryBytes / mac.cpuBytesPerSec

/** [β] */
export const betaSec = (mac: MacProfile, model: MacModel, memoryBytes: number): number =>
  model.layerFlops / mac.gpuFlops +
  mac.kvCopySec +
  memoryBytes / mac.gpuBytesPerSec -
  alphaSec(mac, model, memoryBytes)

/**
 * @param macs the head comes first
 * @param kvBytesPerElement 0.5, 1 or 2
 * @returns the best split for each k that divides the layers, except one layer per round
 */
export async function solveDistilp(
  macs: readonly MacProfile[],
  model: MacModel,
  kvBytesPerElement: number,
  milp: MilpSolver,
): Promise<MacSplit[]> {
  const memoryBytes = layerMemoryBytes(model, kvBytesPerElement)
  const constant = kappaSec(macs, model) + macs.reduce((sum, { hopSec }) => sum + hopSec, 0)
  const splits: MacSplit[] = []
  for (let k = 1; k <= model.nLayers / 2; k++) {
    if (model.nLayers % k !== 0) continue
    const solution = await milp(cycleProgram(macs, model, memoryBytes, k))
    if (solution === null) continue
    const column = (name: string) => macs.map((_, m) => solution.values[`${name}${m}`] ?? 0)
    splits.push({ k, w: column('w'), n: column('n'), objectiveSec: solution.cost + constant })
  }
  return splits
}

function cycleProgram(
  macs: readonly MacProfile[],
  model: MacModel,
  memoryBytes: number,
  k: number,
): MilpProgram {
  const W = model.nLayers / k
  const columns: MilpColumn[] = [{ name: 'C', cost: k - 1, lower: 0, upper: Infinity, isInteger: false }]
  const rows: MilpRow[] = []
  const all: Record<string, number> = {}

  for (const [m, mac] of macs.entries()) {
    const [w, n, ramSlack, gpuSlack, z] = [`w${m}`, `n${m}`, `s${m}`, `t${m}`, `z${m}`]
    const alpha = alphaSec(mac, model, memoryBytes)
    const beta = betaSec(mac, model, memoryBytes)
    const reload = model.layerBytes / mac.diskBytesPerSec
    const layers = (name: string, cost: number, lower: number): MilpColumn => ({
      name,
      cost,
      lower,
      upper: W,
      isInteger: true,
    })
    columns.push(
      layers(w, alpha, 1),
      layers(n, beta, 0),
      layers(ramSlack, reload, 0),
      layers(gpuSlack, reload, 0),
    )
    columns.push({ name: z, cost: 0, lower: 0, upper: Infinity, isInteger: false })
    all[w] = 1

    const headBytes = m === 0 ? model.inputBytes / model.vocabSize + model.outputBytes : 0
    const ram = mac.metalBytes - headBytes - mac.cpuBufferBytes - mac.gpuBufferBytes
    const gpu = mac.metalBytes - mac.gpuBufferBytes - (m === 0 ? model.outputBytes : 0)
    const busy = { [w]: alpha, [n]: beta, [ramSlack]: reload, [gpuSlack]: reload }
    const fetch = memoryBytes / mac.diskBytesPerSec
    rows.push(
      { name: `within${m}`, coefficients: { [n]: 1, [w]: -1 }, is: '<=', right: 0 },
      { name: `ram${m}`, coefficients: { [w]: 1, [ramSlack]: -1 }, is: '<=', right: ram / memoryBytes },
      { name: `gpu${m}`, coefficients: { [n]: 1, [gpuSlack]: -1 }, is: '<=', right: gpu / memoryBytes },
      { name: `cycle${m}`, coefficients: { ...busy, [z]: 1, C: -1 }, is: '<=', right: -mac.hopSec },
      {
        name: `stall${m}`,
        coefficients: { ...busy, [w]: alpha + fetch, [z]: -1, C: -1 },
        is: '<=',
        right: -mac.hopSec,
      },
    )
  }
  rows.push({ name: 'all', coefficients: all, is: '=', right: W })
  return { columns, rows }
}

/** [κ] The output layer on the head's CPU, read from disk as M2 has it. */
function kappaSec([head]: readonly MacProfile[], model: MacModel): number {
  if (head === undefined) return 0
  const inputRow = model.inputBytes / model.vocabSize
  return (
    model.outputFlops / head.cpuFlops +
    (inputRow + model.outputBytes) / head.cpuBytesPerSec +
    (inputRow + model.outputBytes) / head.diskBytesPerSec
  )
}
