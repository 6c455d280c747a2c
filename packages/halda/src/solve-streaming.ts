/**
 * A plan for a model larger than all the memory in the room: layers in proportion to memory, the overflow streams from
 * each device's store. A simple rule; the exact planner minimises over models that fit.
 *
 * @module
 */
import { bufferBytes } from './cost.ts'
import { planManual } from './solve-manual.ts'
import type { Planner } from './types.ts'

/** @returns 'no-plan' when a device cannot hold the head, or two of its layers */
export const planStreaming: Planner = (devices, model) => {
  const ring = devices.toSorted((a, b) => (a.device < b.device ? -1 : 1))
  const rooms = ring.map(({ memoryBytes }) => Math.max(0, memoryBytes - bufferBytes))
  const total = rooms.reduce((sum, room) => sum + room, 0)
  let room = 0
  let layer = 0
  const layers = rooms.map((bytes, i) => {
    room += bytes
    const end = i === rooms.length - 1 ? model.nLayers : Math.round((room / total) * model.nLayers)
    const share = end - layer
    layer = end
    return share
  })
  return planManual(ring, model, { layers, streaming: true })
}
