/**
 * How others share a model out, judged by the same cost: what the exact planner is measured against.
 *
 * @module
 */
import { checkProfiles } from './check.ts'
import { noPlanSentence } from './sentence.ts'
import { planManual } from './solve-manual.ts'
import type { DeviceId, DeviceProfile, ModelProfile, PlanResult, Planner } from './types.ts'
import { evenLayers } from './windows.ts'

/**
 * In proportion to memory (exo's ring_memory_weighted_partitioning): devices by falling memory, cut where the running
 * share of all memory, rounded down to whole layers, says.
 */
export const planByMemory: Planner = (devices, model) =>
  shareOut(devices, model, () => {
    const order = devices.toSorted((a, b) => b.memoryBytes - a.memoryBytes || byId(a, b))
    const total = order.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0)
    let memory = 0
    let layer = 0
    return order.map((device) => {
      memory += device.memoryBytes
      const end = device === order.at(-1) ? model.nLayers : Math.floor((memory / total) * model.nLayers)
      const layers = end - layer
      layer = end
      return { device, layers }
    })
  })

/** As equal a number of layers to each device as can be (dllama shares out evenly). */
export const planEqual: Planner = (devices, model) =>
  shareOut(devices, model, () => {
    const layers = evenLayers(devices.length, model.nLayers)
    return devices.toSorted(byId).map((device, index) => ({ device, layers: layers[index] ?? 0 }))
  })

/** Everything on the one device that is fastest alone (llama.cpp). */
export const planSingle: Planner = (devices, model) => {
  const problem = checkProfiles(devices, model)
  if (problem !== null) return { ok: false, code: 'bad-profile', message: problem }
  let best: PlanResult = { ok: false, code: 'no-plan', message: noPlanSentence(devices, model) }
  // Who has most memory says why it cannot, when nobody can.
  for (const device of devices.toSorted((a, b) => a.memoryBytes - b.memoryBytes || byId(b, a))) {
    const result = planManual([device], model, { layers: [model.nLayers] })
    const isBetter =
      result.ok && best.ok ? result.plan.predictedTpotMs <= best.plan.predictedTpotMs : result.ok || !best.ok
    if (isBetter) best = result
  }
  return best
}

type Share = { device: DeviceProfile; layers: number }

function shareOut(devices: readonly DeviceProfile[], model: ModelProfile, shares: () => Share[]): PlanResult {
  const problem = checkProfiles(devices, model)
  if (problem !== null) return { ok: false, code: 'bad-profile', message: problem }
  const inOrder = shares()
  return planManual(
    inOrder.map(({ device }) => device),
    model,
    { layers: inOrder.map(({ layers }) => layers) },
  )
}

const byId = (a: { device: DeviceId }, b: { device: DeviceId }): number => (a.device < b.device ? -1 : 1)
