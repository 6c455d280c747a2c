/**
 * Plans that a person, a test or an experiment asks for: so many layers to each device, in so many rounds (prima.cpp's
 * `-lw` and `-k`), so many of them on its GPU (`-ngl`).
 *
 * @module
 */
import { checkProfiles } from './check.ts'
import { createPricer, type DeviceCost } from './cost.ts'
import { formatBytes, noPlanSentence } from './sentence.ts'
import { exactOrderDevices, planAround } from './solve-exact.ts'
import { nsPerMs } from './symbols.ts'
import type { DeviceId, DeviceProfile, ModelProfile, Plan, PlanResult, Workload } from './types.ts'
import { spread } from './windows.ts'

type Counts = Readonly<Record<string, number>> | readonly (number | null)[]

export type ManualRequest = {
  /**
   * Layers of each device over all rounds [l_m]: by id, or in the order of `devices`, null for who is not named. Where
   * they add up to the model's, who is not named gets none and the running order is that of `devices`; where they are
   * fewer, the planner shares the others out among those and orders the ring.
   */
  layers: Counts
  /** Of its layers, those on its GPU: the last of each window. None where a device is not named. */
  gpuLayers?: Counts
  /** Chosen for the lowest predicted TPOT among the devices that can hold it when not given. */
  head?: DeviceId
  /** Trips round the ring per token [k]; 1 when not given. */
  rounds?: number
}

/**
 * Plans exactly what was asked; what a device has no memory for streams from its store, and the prediction counts it.
 *
 * @returns 'no-plan' with a sentence when the numbers do not add up, or a device cannot hold its share
 */
export function planManual(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  request: ManualRequest,
  workload: Workload = {},
): PlanResult {
  const problem = checkProfiles(devices, model)
  if (problem !== null) return { ok: false, code: 'bad-profile', message: problem }
  if (devices.length === 0) return refuse(noPlanSentence(devices, model))

  const rounds = request.rounds ?? 1
  const mistake = checkRequest(devices, model, request, rounds)
  if (mistake !== null) return refuse(mistake)

  const named = new Map(
    devices.flatMap(({ device }, index) => {
      const own = countOf(request.layers, device, index)
      return own === null ? [] : [[device, own] as const]
    }),
  )
  const onGpu = devices.map(({ device }, index) => countOf(request.gpuLayers ?? {}, device, index) ?? 0)
  const left = model.nLayers - [...named.values()].reduce((sum, own) => sum + own, 0)
  if (left > 0 && onGpu.some((count) => count > 0)) {
    return refuse(
      `Layers on GPUs are given by hand, but ${left} of ${model.nLayers} layers are left to the planner. Give all layers by hand.`,
    )
  }
  if (left > 0) return fillUp(devices, model, { ...request, rounds, named, left }, workload)

  const shares = devices.map(({ device }, index) => ({
    device,
    layers: named.get(device) ?? 0,
    gpuLayers: onGpu[index] ?? 0,
  }))
  const windows = spread(shares, rounds)
  const heads = request.head === undefined ? devices.map(({ device }) => device).toSorted() : [request.head]

  const price = createPricer(devices, model, workload)
  let best: Plan | null = null
  let complaint = ''
  for (const head of heads) {
    const plan: Plan = { head, rounds, windows, predictedTpotMs: 0 }
    const { tpotNs, devices: parts } = price(plan)
    const tooSmall = parts.find((part) => part.leastMemoryBytes > part.budgetBytes)
    const noGpu = parts.find((part) => part.gpuLayers > part.gpuRoomLayers)
    if (noGpu !== undefined) return refuse(noGpuRoom(noGpu))
    if (tooSmall === undefined) {
      const predictedTpotMs = tpotNs / nsPerMs
      if (best === null || predictedTpotMs < best.predictedTpotMs) best = { ...plan, predictedTpotMs }
    } else {
      const { device, layers, leastMemoryBytes, budgetBytes } = tooSmall
      const role = device === head ? ' and the head' : ''
      complaint ||= `${device} cannot hold ${layers} layers${role}: that takes at least ${formatBytes(leastMemoryBytes)} and it offers ${formatBytes(budgetBytes)}. Give it fewer layers or more memory.`
    }
  }
  return best === null ? refuse(complaint) : { ok: true, plan: best }
}

const refuse = (message: string): PlanResult => ({ ok: false, code: 'no-plan', message })

function noGpuRoom({ device, gpuLayers, gpuRoomLayers }: DeviceCost): string {
  const room = gpuRoomLayers === 0 ? 'no GPU with room for one' : `room for ${gpuRoomLayers} there`
  return `${device} cannot run ${gpuLayers} layers on a GPU: it has ${room}. Give its GPU fewer layers or more memory.`
}

const isList = (counts: Counts): counts is readonly (number | null)[] => Array.isArray(counts)

function countOf(counts: Counts, device: DeviceId, index: number): number | null {
  if (isList(counts)) return counts[index] ?? null
  return Object.hasOwn(counts, device) ? (counts[device] ?? null) : null
}

/** Gives the layers that are left to the devices that are not named. */
function fillUp(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  request: { rounds: number; head?: DeviceId; named: ReadonlyMap<DeviceId, number>; left: number },
  workload: Workload,
): PlanResult {
  const { rounds, head, named, left } = request
  const sorted = devices.toSorted((a, b) => (a.device < b.device ? -1 : 1))
  if (named.size > exactOrderDevices) {
    return refuse(
      `Layers are given for ${named.size} devices; beside ${exactOrderDevices} at most the planner fills in the rest.`,
    )
  }
  const plan = planAround(sorted, model, named, { rounds, head }, workload)
  if (plan !== null) return { ok: true, plan }
  const others = sorted.filter(({ device }) => !named.has(device)).map(({ device }) => device)
  const inRounds =
    rounds === 1 ? '' : ` in ${rounds} rounds, each with a layer for every device that runs some`
  return refuse(
    `${left} of ${model.nLayers} layers are left for ${others.join(', ')}; with the ${model.nLayers - left} given to others they do not fit${inRounds}. Give other numbers, or more memory.`,
  )
}

function checkRequest(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  request: ManualRequest,
  rounds: number,
): string | null {
  const ids = new Set<string>(devices.map(({ device }) => device))
  const { layers, gpuLayers = {}, head } = request
  if (head !== undefined && !ids.has(head)) return `The head ${head} is not among the devices.`
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > model.nLayers) {
    return `A token can make 1 to ${model.nLayers} rounds of the ring, not ${rounds}.`
  }
  for (const counts of [layers, gpuLayers]) {
    if (isList(counts) && counts.length > devices.length) {
      return `Layers are given for ${counts.length} devices, but there are ${devices.length}.`
    }
    const stranger = isList(counts) ? undefined : Object.keys(counts).find((device) => !ids.has(device))
    if (stranger !== undefined) return `Layers are given to ${stranger}, which is not among the devices.`
  }
  const counts: number[] = Object.values(layers).filter((count: number | null) => count !== null)
  const wrong = counts.find((count) => !Number.isInteger(count) || count < 0)
  if (wrong !== undefined) return `A device can run a whole number of layers from 0 up, not ${wrong}.`
  for (const [index, { device }] of devices.entries()) {
    const [own, onGpu] = [countOf(layers, device, index) ?? 0, countOf(gpuLayers, device, index) ?? 0]
    if (Number.isInteger(onGpu) && onGpu >= 0 && onGpu <= own) continue
    return `Of the ${own} layers of ${device} a whole number from 0 to ${own} can run on its GPU, not ${onGpu}.`
  }
  const given = counts.reduce((sum, count) => sum + count, 0)
  const allNamed = counts.length === devices.length
  if (given > model.nLayers || (given < model.nLayers && allNamed)) {
    return `The layers given add up to ${given}, but ${model.name} has ${model.nLayers}.`
  }
  return null
}
