/**
 * Plans that a person, a test or an experiment asks for: so many layers to each device, in so many rounds (prima.cpp's
 * `-lw` and `-k`).
 *
 * @module
 */
import { checkProfiles } from './check.ts'
import { createPricer } from './cost.ts'
import { formatBytes, noPlanSentence } from './sentence.ts'
import { nsPerMs } from './symbols.ts'
import type { DeviceId, DeviceProfile, ModelProfile, Plan, PlanResult, Workload } from './types.ts'
import { spread } from './windows.ts'

export type ManualRequest = {
  /**
   * Layers of each device over all rounds [l_m]: by id, or in the order of `devices`. Who is not named gets none. The
   * running order is that of `devices`.
   */
  layers: Readonly<Record<string, number>> | readonly number[]
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

  const shares = devices.map(({ device }, index) => ({ device, layers: layersOf(request, device, index) }))
  const windows = spread(shares, rounds)
  const heads = request.head === undefined ? devices.map(({ device }) => device).toSorted() : [request.head]

  const price = createPricer(devices, model, workload)
  let best: Plan | null = null
  let complaint = ''
  for (const head of heads) {
    const plan: Plan = { head, rounds, windows, predictedTpotMs: 0 }
    const { tpotNs, devices: parts } = price(plan)
    const tooSmall = parts.find((part) => part.leastMemoryBytes > part.budgetBytes)
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

const isList = (layers: ManualRequest['layers']): layers is readonly number[] => Array.isArray(layers)

function layersOf({ layers }: ManualRequest, device: DeviceId, index: number): number {
  if (isList(layers)) return layers[index] ?? 0
  return Object.hasOwn(layers, device) ? (layers[device] ?? 0) : 0
}

function checkRequest(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  request: ManualRequest,
  rounds: number,
): string | null {
  const ids = new Set<string>(devices.map(({ device }) => device))
  const { layers, head } = request
  if (head !== undefined && !ids.has(head)) return `The head ${head} is not among the devices.`
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > model.nLayers) {
    return `A token can make 1 to ${model.nLayers} rounds of the ring, not ${rounds}.`
  }
  if (isList(layers) && layers.length > devices.length) {
    return `Layers are given for ${layers.length} devices, but there are ${devices.length}.`
  }
  const stranger = isList(layers) ? undefined : Object.keys(layers).find((device) => !ids.has(device))
  if (stranger !== undefined) return `Layers are given to ${stranger}, which is not among the devices.`
  const counts = Object.values(layers)
  const wrong = counts.find((count) => !Number.isInteger(count) || count < 0)
  if (wrong !== undefined) return `A device can run a whole number of layers from 0 up, not ${wrong}.`
  const given = counts.reduce((sum, count) => sum + count, 0)
  if (given !== model.nLayers) {
    return `The layers given add up to ${given}, but ${model.name} has ${model.nLayers}.`
  }
  return null
}
