/**
 * The default planner: the plan with the lowest predicted TPOT, found exactly.
 *
 * It decides who is head, which devices take part, in which order, and which layers each runs, with the bytes of every
 * single layer. Equal plans are told apart by fewer devices, then fewer hops, then lower device ids. All layers are
 * pinned and a device runs one window, so k is 1: more rounds would add hops and save nothing. (Where layers differ in
 * size, two windows can fill a memory better than one; such plans are not considered.)
 *
 * Orders of up to `exactOrderDevices` devices are all considered. Of more devices, a first ring is found in the order
 * that goes from the head always to the nearest device not yet visited, with the head's layers first or last; its
 * devices, filled up to eight with the fastest others, are then planned exactly.
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
  if (devices.length <= exactOrderDevices) return cheapestInEveryOrder(devices, model, member)
  const first = cheapestInNearestOrder(devices, model, member)
  const eight = mostPromising(devices, model, [
    ...(member === undefined ? [] : [member]),
    ...(first === null ? [] : [first.head, ...first.windows.map(({ device }) => device)]),
  ])
  const second = cheapestInEveryOrder(eight, model, member)
  if (first === null || second === null) return first ?? second
  return second.predictedTpotMs < first.predictedTpotMs ? second : first
}

function cheapestInEveryOrder(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  member?: DeviceId,
): Plan | null {
  const free = everyOrder(devices.length, [])
  const index = devices.findIndex(({ device }) => device === member)
  const withMember = index === -1 ? free : everyOrder(devices.length, [index])
  return cheapestOf(devices, model, member, (_, required) => [required.length === 0 ? free : withMember])
}

function cheapestInNearestOrder(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  member?: DeviceId,
): Plan | null {
  const hopNs = hopsBetween(devices)
  return cheapestOf(devices, model, member, (head, required) => {
    const order = nearestNeighbours(hopNs, head)
    return [oneOrder(order, required), oneOrder([...order.slice(1), head], required)]
  })
}

/** The given devices, as far as `exactOrderDevices` goes, and the fastest of the others. */
function mostPromising(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  given: readonly DeviceId[],
): DeviceProfile[] {
  const rank = (device: DeviceProfile): number =>
    given.includes(device.device) ? 0 : alphaNs(device, model, 0)
  const chosen = new Set(devices.toSorted((a, b) => rank(a) - rank(b)).slice(0, exactOrderDevices))
  return devices.filter((device) => chosen.has(device))
}

/** @param ordersFor the orders to try with a head, all with the required devices */
function cheapestOf(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  member: DeviceId | undefined,
  ordersFor: (head: number, required: number[]) => OrderGraph[],
): Plan | null {
  const problem = toRingProblem(devices, model)
  const memberIndex = devices.findIndex(({ device }) => device === member)
  let best: { head: number; ring: Ring } | null = null
  for (const head of devices.keys()) {
    const required = memberIndex === -1 || memberIndex === head ? [] : [memberIndex]
    for (const orders of ordersFor(head, required)) {
      const ring = bestRing(problem, orders, head)
      if (ring !== null && (best === null || ring.rank < best.ring.rank)) best = { head, ring }
    }
  }
  return best && toPlan(best.head, best.ring, devices, model)
}

const hopsBetween = (devices: readonly DeviceProfile[]): number[][] =>
  devices.map((from) => devices.map((to) => xiNs(from, to.device)))

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
    hopNs: hopsBetween(devices),
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
