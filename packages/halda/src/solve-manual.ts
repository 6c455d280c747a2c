/**
 * Plans that a person, a test or an experiment asks for: so many layers to each device, in so many rounds (prima.cpp's
 * `-lw` and `-k`).
 *
 * @module
 */
import { checkProfiles } from './check.ts'
import { nsPerMs, planCost, type DeviceCost } from './cost.ts'
import { formatBytes, noPlanSentence } from './sentence.ts'
import type { DeviceId, DeviceProfile, LayerWindow, ModelProfile, Plan, PlanResult } from './types.ts'

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
  /** Whether a device may hold less than its share and stream the rest from its store; it may not when absent. */
  streaming?: boolean
}

/**
 * Plans exactly what was asked. Each device's layers are spread over the rounds as evenly as whole layers allow, so
 * `rounds` need not divide anything; windows of one device that follow each other directly become one.
 *
 * How long streaming takes is in the prediction.
 *
 * @returns 'no-plan' with a sentence when the numbers do not add up, or a device cannot hold its share
 */
export function planManual(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  request: ManualRequest,
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

  const neededBytes = (part: DeviceCost) => (request.streaming ? part.leastMemoryBytes : part.memoryBytes)
  let best: Plan | null = null
  let complaint = ''
  for (const head of heads) {
    const plan: Plan = { head, rounds, windows, predictedTpotMs: 0 }
    const cost = planCost(plan, devices, model)
    const tooSmall = cost.devices.find((part) => neededBytes(part) > part.budgetBytes)
    if (tooSmall === undefined) {
      const predictedTpotMs = cost.tpotNs / nsPerMs
      if (best === null || predictedTpotMs < best.predictedTpotMs) best = { ...plan, predictedTpotMs }
    } else {
      const role = tooSmall.device === head ? ' and the head' : ''
      complaint ||= `${tooSmall.device} cannot hold ${tooSmall.layers} layers${role}: that takes ${formatBytes(neededBytes(tooSmall))} and it offers ${formatBytes(tooSmall.budgetBytes)}. Give it fewer layers or more memory.`
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

/** Round r of k takes a device from layer ⌊r·l/k⌋ of its share to layer ⌊(r+1)·l/k⌋. */
function spread(shares: readonly { device: DeviceId; layers: number }[], rounds: number): LayerWindow[] {
  const windows: LayerWindow[] = []
  let firstLayer = 0
  for (let round = 0; round < rounds; round++) {
    for (const share of shares) {
      const layers =
        Math.floor(((round + 1) * share.layers) / rounds) - Math.floor((round * share.layers) / rounds)
      if (layers === 0) continue
      const last = windows.at(-1)
      if (last?.device === share.device) last.layers += layers
      else windows.push({ device: share.device, firstLayer, layers, gpuLayers: 0 })
      firstLayer += layers
    }
  }
  return windows
}
