/**
 * Made-up rooms to plan when the server starts: a planner that has planned before answers several times sooner than one
 * whose code has yet to be compiled, and no family waits for that.
 *
 * @module
 */
import type { DeviceId, DeviceProfile, ModelProfile, Planner } from '@hearth/halda'

/** Some with plenty of memory for the model, some with too little of it. */
const rooms = [
  { devices: 4, layers: 32, memoryShare: 1.5 },
  { devices: 8, layers: 64, memoryShare: 0.4 },
  { devices: 8, layers: 128, memoryShare: 2 },
  { devices: 16, layers: 128, memoryShare: 0.4 },
  { devices: 16, layers: 128, memoryShare: 2 },
  { devices: 16, layers: 128, memoryShare: 1.2 },
]

const layerBytes = 50e6
const outputBytes = 150e6

export function practise(plan: Planner): void {
  for (const room of rooms) plan(...madeUp(room))
}

/** Devices of all speeds, as a planner has most to weigh with them, and layers of two sizes, as in Q4_K_M. */
function madeUp({ devices, layers, memoryShare }: (typeof rooms)[number]): [DeviceProfile[], ModelProfile] {
  const model: ModelProfile = {
    name: 'made up',
    nLayers: layers,
    dim: 2048,
    layerBytes: Array.from({ length: layers }, (_, layer) => ({
      Q4_K: layerBytes,
      ...(layer % 3 === 0 ? { Q6_K: layerBytes / 8 } : {}),
    })),
    outputBytes: { Q6_K: outputBytes },
    embeddingBytes: outputBytes,
    tiedOutput: false,
    kvBytesPerPosition: 2048,
    contextLength: 2048,
  }
  const memoryBytes = (memoryShare * (layers * layerBytes + outputBytes)) / devices
  const house = Array.from({ length: devices }, (_, n): DeviceProfile => {
    const unlike = 0.5 + ((n * 7) % devices) / devices
    return {
      device: `made-up-${n}` as DeviceId,
      memoryBytes: Math.round(memoryBytes * (0.5 + ((n * 5) % devices) / devices)),
      weightBytesPerSec: { Q4_K: 1e10 * unlike, Q6_K: 8e9 * unlike },
      diskReadBytesPerSec: 1e9 / unlike,
      hopMs: {},
      defaultHopMs: 1 + ((n * 3) % devices) / 2,
    }
  })
  return [house, model]
}
