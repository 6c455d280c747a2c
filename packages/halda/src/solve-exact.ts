/**
 * The default planner: the plan with the lowest predicted TPOT, found exactly.
 *
 * It decides who is head, which devices take part, in which order, and which layers each runs, with the bytes of every
 * single layer. Equal plans are told apart by fewer devices, then fewer hops, then lower device ids. All layers are
 * pinned, so more rounds only add hops and k is 1: any plan of k rounds can be merged into one that hops less.
 *
 * Orders of up to `exactOrderDevices` devices are all considered. Beyond that the running order goes from the head
 * always to the nearest device not yet visited, with the head's layers first or last, and the choice of devices and
 * layers within that order is exact.
 *
 * @module
 */
import { checkProfiles } from './check.ts'
import {
  alphaNs,
  bufferBytes,
  headMemoryBytes,
  kappaNs,
  layerMemoryBytes,
  nsPerMs,
  planCost,
  xiNs,
} from './cost.ts'
import { everyOrder, nearestNeighbours, oneOrder, type OrderGraph } from './ring-order.ts'
import { bestRing, type Ring, type RingProblem } from './ring-search.ts'
import { noPlanSentence } from './sentence.ts'
import type { DeviceId, DeviceProfile, ModelProfile, Plan, PlanResult, Planner } from './types.ts'

export const exactOrderDevices = 8

export const planExact: Planner = (devices, model) => planWith(devices, model)

/**
 * The best plan in which a device has a part, as head or with layers; asked to explain why it has none.
 *
 * @param member leaves everything open when undefined
 */
export function planWith(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  member?: DeviceId,
): PlanResult {
  const problem = checkProfiles(devices, model)
  if (problem !== null) return { ok: false, code: 'bad-profile', message: problem }

  const sorted = devices.toSorted((a, b) => (a.device < b.device ? -1 : 1))
  const plan = cheapest(sorted, model, member)
  return plan === null
    ? { ok: false, code: 'no-plan', message: noPlanSentence(sorted, model) }
    : { ok: true, plan }
}

function cheapest(devices: readonly DeviceProfile[], model: ModelProfile, member?: DeviceId): Plan | null {
  const problem = toRingProblem(devices, model)
  const memberIndex = devices.findIndex(({ device }) => device === member)
  const graphsFor = orderGraphs(problem, devices.length)

  let best: { head: number; ring: Ring } | null = null
  for (const head of devices.keys()) {
    const required = memberIndex === -1 || memberIndex === head ? [] : [memberIndex]
    for (const orders of graphsFor(head, required)) {
      const ring = bestRing(problem, orders, head)
      if (ring !== null && (best === null || ring.rank < best.ring.rank)) best = { head, ring }
    }
  }
  return best && toPlan(best.head, best.ring, devices, model)
}

/** The orders to consider for each head; those that are the same for all heads are made once. */
function orderGraphs(problem: RingProblem, n: number): (head: number, required: number[]) => OrderGraph[] {
  if (n <= exactOrderDevices) {
    const free = everyOrder(n, [])
    return (_, required) => [required.length === 0 ? free : everyOrder(n, required)]
  }
  return (head, required) => {
    const order = nearestNeighbours(problem.hopNs, head)
    return [oneOrder(order, required), oneOrder([...order.slice(1), head], required)]
  }
}

function toRingProblem(devices: readonly DeviceProfile[], model: ModelProfile): RingProblem {
  const layers = [...model.layerBytes.keys()]
  const headBytes = headMemoryBytes(model)
  return {
    nLayers: model.nLayers,
    alphaSumNs: devices.map((device) => runningSum(layers.map((layer) => alphaNs(device, model, layer)))),
    memorySumBytes: runningSum(layers.map((layer) => layerMemoryBytes(model, layer))),
    roomBytes: devices.map(({ memoryBytes }) => memoryBytes - bufferBytes),
    headRoomBytes: devices.map(({ memoryBytes }) => memoryBytes - bufferBytes - headBytes),
    kappaNs: devices.map((device) => kappaNs(device, model)),
    hopNs: devices.map((from) => devices.map((to) => xiNs(from, to.device))),
  }
}

function runningSum(values: readonly number[]): Float64Array {
  const sums = new Float64Array(values.length + 1)
  for (const [index, value] of values.entries()) sums[index + 1] = (sums[index] ?? 0) + value
  return sums
}

function toPlan(head: number, ring: Ring, devices: readonly DeviceProfile[], model: ModelProfile): Plan {
  const idOf = (index: number): DeviceId => {
    const profile = devices[index]
    if (profile === undefined) throw new RangeError(`No device ${index}`)
    return profile.device
  }
  let firstLayer = 0
  const windows = ring.windows.map(({ device, layers }) => {
    const window = { device: idOf(device), firstLayer, layers, gpuLayers: 0 }
    firstLayer += layers
    return window
  })
  const plan: Plan = { head: idOf(head), rounds: 1, windows, predictedTpotMs: 0 }
  return { ...plan, predictedTpotMs: planCost(plan, devices, model).tpotNs / nsPerMs }
}
