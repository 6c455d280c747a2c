/**
 * Clusters drawn from a seed, for tests that hold for every cluster.
 *
 * @module
 */
import { bufferBytes, headMemoryBytes, layerMemoryBytes } from './symbols.ts'
import type { DeviceId, DeviceProfile, ModelProfile } from './types.ts'

/** Numbers from 0 up to 1, the same for the same seed (Lehmer's generator, modulus 2³¹ − 1). */
export function createRandom(seed: number): () => number {
  let state = (seed % 2147483646) + 1
  const next = () => (state = (state * 48271) % 2147483647) / 2147483647
  for (let warmUp = 0; warmUp < 5; warmUp++) next()
  return next
}

const between = (random: () => number, low: number, high: number): number => low + random() * (high - low)
const wholeBetween = (random: () => number, low: number, high: number): number =>
  Math.floor(between(random, low, high + 1))

/** Layers of two kinds, as in Q4_K_M, in no particular order. */
export function randomModel(random: () => number, nLayers: number): ModelProfile {
  const q4 = wholeBetween(random, 5, 100) * 1e6
  const q6 = wholeBetween(random, 1, 30) * 1e6
  const output = wholeBetween(random, 1, 300) * 1e6
  const tiedOutput = random() < 0.3
  return {
    name: 'random',
    nLayers,
    dim: 2048,
    layerBytes: Array.from({ length: nLayers }, () =>
      random() < 0.5 ? { Q4_K: q4, F32: 16_384 } : { Q4_K: q4, Q6_K: q6, F32: 16_384 },
    ),
    outputBytes: { Q6_K: output, F32: 8192 },
    embeddingBytes: tiedOutput ? output : wholeBetween(random, 1, 200) * 1e6,
    tiedOutput,
    kvBytesPerPosition: 2048,
    contextLength: wholeBetween(random, 128, 8192),
  }
}

/** @param plenty share of the whole model that an average device can hold */
export function randomDevices(
  random: () => number,
  n: number,
  model: ModelProfile,
  plenty: number,
): DeviceProfile[] {
  const whole = model.layerBytes.reduce(
    (sum, _, layer) => sum + layerMemoryBytes(model, layer),
    headMemoryBytes(model),
  )
  const ids = Array.from({ length: n }, (_, index) => `device-${index}` as DeviceId)
  return ids.map((device) => {
    const q4 = between(random, 1e9, 20e9)
    return {
      device,
      memoryBytes: Math.round(bufferBytes(model) + whole * plenty * between(random, 0.2, 1.8)),
      weightBytesPerSec: random() < 0.2 ? { Q4_K: q4 } : { Q4_K: q4, Q6_K: q4 * between(random, 0.6, 1.2) },
      diskReadBytesPerSec: 10 ** between(random, 8.3, 9.7),
      hopMs: Object.fromEntries(
        ids.filter((to) => to !== device && random() < 0.8).map((to) => [to, between(random, 0.5, 20)]),
      ),
      defaultHopMs: between(random, 1, 10),
    }
  })
}

/** Some of them with a GPU that holds a few layers. */
export const withGpus = (random: () => number, devices: readonly DeviceProfile[]): DeviceProfile[] =>
  devices.map((device) => {
    if (random() < 0.6) return device
    const weightBytesPerSec = { Q4_K: between(random, 5e9, 50e9) }
    const gpu = { memoryBytes: between(random, 1e7, 4e8), weightBytesPerSec, copyMs: random() }
    return { ...device, gpu }
  })

export function shuffled<T>(random: () => number, items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, key: random() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ item }) => item)
}
