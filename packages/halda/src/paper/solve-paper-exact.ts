/**
 * The paper's cost with its max() terms, and its exact minimum: what Halda's loop would find if its guesses were right.
 *
 * @module
 */
import {
  budgetBytes,
  diskMs,
  gpuRoomLayers,
  headBytes,
  reservedBytes,
  type PaperDevice,
  type PaperProblem,
  type PaperSplit,
} from './paper-problem.ts'

/** Equation (11) with (12)–(19): ms per token of any split, whatever sets its devices fall into. */
export function paperCostMs(problem: PaperProblem, { k, w, n }: PaperSplit): number {
  return problem.devices.reduce(
    (total, device, m) => total + deviceMs(problem, device, m, k * (w[m] ?? 0), k * (n[m] ?? 0), k),
    problem.outputMs,
  )
}

/** A device with `layers` of all layers, `gpuLayers` of them on its GPU, visited `k` times. */
function deviceMs(
  problem: PaperProblem,
  device: PaperDevice,
  m: number,
  layers: number,
  gpuLayers: number,
  k: number,
): number {
  const inRam = layers - (device.os === 'linux' ? gpuLayers : 0)
  const overflow = inRam * problem.layerMemoryBytes + reservedBytes(problem, device, m) - budgetBytes(device)
  const everything = layers * problem.layerBytes + headBytes(problem, m)
  const reload = device.gpu === 'metal' && overflow > 0 ? everything : overflow
  const input = m === 0 ? problem.inputRowBytes : 0
  const disk = layers === 0 && m > 0 ? 0 : diskMs(device, Math.max(reload, input))
  const hops = layers === 0 ? 0 : k * device.xiMs
  return device.alphaMs * layers + device.betaMs * gpuLayers + hops + disk
}

/**
 * Min-plus dynamic programming over devices, as only Σw couples them. k is 1: under this cost the windows of more rounds
 * can be merged into one without costing more.
 */
export function solvePaperExact(problem: PaperProblem): { split: PaperSplit; objectiveMs: number } {
  const { nLayers, devices } = problem
  /** (layers given so far): least ms, and the split that takes it. */
  let best: { ms: number; w: number[]; n: number[] }[] = [{ ms: problem.outputMs, w: [], n: [] }]
  for (const [m, device] of devices.entries()) {
    const options = Array.from({ length: nLayers + 1 }, (_, layers) =>
      bestOnDevice(problem, device, m, layers),
    )
    const next: typeof best = []
    for (const [given, { ms, w, n }] of best.entries()) {
      for (const [layers, option] of options.entries()) {
        const sum = given + layers
        if (sum > nLayers) break
        const total = ms + option.ms
        if (total >= (next[sum]?.ms ?? Infinity)) continue
        next[sum] = { ms: total, w: [...w, layers], n: [...n, option.gpuLayers] }
      }
    }
    best = next
  }
  const { ms, w, n } = best[nLayers] ?? { ms: Infinity, w: [], n: [] }
  return { split: { k: 1, w, n }, objectiveMs: ms }
}

function bestOnDevice(problem: PaperProblem, device: PaperDevice, m: number, layers: number) {
  const most = Math.min(layers, Math.floor(gpuRoomLayers(problem, device, m)))
  let best = { ms: Infinity, gpuLayers: 0 }
  for (let gpuLayers = 0; gpuLayers <= most; gpuLayers++) {
    const ms = deviceMs(problem, device, m, layers, gpuLayers, 1)
    if (ms < best.ms) best = { ms, gpuLayers }
  }
  return best
}
