/**
 * Households for the paper's cost, drawn from a seed: two to six machines of any of its kinds, a model of 24 to 48
 * layers, memory that may or may not do.
 *
 * @module
 */
import type { PaperDevice, PaperProblem } from './paper-problem.ts'

export function randomProblem(random: () => number): PaperProblem {
  const between = (low: number, high: number) => low + random() * (high - low)
  const layerBytes = Math.round(between(100e6, 500e6))
  const kinds = [
    ['macos', 'none'],
    ['macos', 'metal'],
    ['linux', 'none'],
    ['linux', 'cuda'],
  ] as const
  const count = 2 + Math.floor(random() * 5)
  const devices = Array.from({ length: count }, (_, m): PaperDevice => {
    const [os, gpu] = kinds[Math.floor(random() * kinds.length)] ?? ['linux', 'none']
    const alphaMs = between(4, 60)
    return {
      name: `device-${m}`,
      os,
      gpu,
      alphaMs,
      betaMs: gpu === 'none' ? 0 : -alphaMs * between(0.3, 0.97),
      xiMs: between(0.5, 5),
      ramBytes: Math.round(between(1e9, 10e9)),
      gpuBytes: gpu === 'none' ? 0 : Math.round(between(2e9, 12e9)),
      cpuBufferBytes: 300e6,
      gpuBufferBytes: gpu === 'none' ? 0 : 1e9,
      diskBytesPerSec: Math.round(between(0.3e9, 4e9)),
    }
  })
  return {
    nLayers: 24 + Math.floor(random() * 25),
    layerBytes,
    layerMemoryBytes: Math.round(layerBytes * 1.01),
    inputRowBytes: 8192,
    outputBytes: 400e6,
    outputMs: 5,
    devices,
  }
}
