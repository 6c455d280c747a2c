/**
 * How others share a model out, judged by the same cost: what the exact planner is measured against.
 *
 * @module
 */
import { checkProfiles } from './check.ts'
import { bufferBytes, headMemoryBytes, layerMemoryBytes } from './cost.ts'
import { evenLayers } from './plan.ts'
import { formatBytes, noPlanSentence } from './sentence.ts'
import { planManual } from './solve-manual.ts'
import type { DeviceId, DeviceProfile, ModelProfile, Plan, PlanResult, Planner } from './types.ts'

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
  let best: Plan | null = null
  for (const device of devices.toSorted(byId)) {
    const result = planManual([device], model, { layers: [model.nLayers] })
    if (result.ok && (best === null || result.plan.predictedTpotMs < best.predictedTpotMs)) best = result.plan
  }
  if (best !== null) return { ok: true, plan: best }
  const [roomiest] = devices.toSorted((a, b) => b.memoryBytes - a.memoryBytes || byId(a, b))
  const message =
    roomiest === undefined
      ? noPlanSentence(devices, model)
      : `No device holds the whole model: it takes ${formatBytes(wholeModelBytes(model))}, and ${roomiest.device}, which has most, offers ${formatBytes(roomiest.memoryBytes)}.`
  return { ok: false, code: 'no-plan', message }
}

const wholeModelBytes = (model: ModelProfile): number =>
  model.layerBytes.reduce((sum, _, layer) => sum + layerMemoryBytes(model, layer), headMemoryBytes(model)) +
  bufferBytes

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
