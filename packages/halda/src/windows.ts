/**
 * Layers of each device spread over rounds, as windows in running order.
 *
 * @module
 */
import type { DeviceId, LayerWindow } from './types.ts'

/** A device's layers over all rounds, those on its GPU included. */
export type Share = { device: DeviceId; layers: number; gpuLayers?: number }

/**
 * As evenly as whole layers allow, so `rounds` need not divide anything: by round r of k a device has run ⌊r·l/k⌋ of
 * its l layers. Windows of one device that follow each other directly become one.
 *
 * @param shares in running order
 */
export function spread(shares: readonly Share[], rounds: number): LayerWindow[] {
  const windows: LayerWindow[] = []
  let firstLayer = 0
  for (let round = 0; round < rounds; round++) {
    for (const { device, layers: all, gpuLayers: gpu = 0 } of shares) {
      const cpuLayers = down(round + 1, all - gpu, rounds) - down(round, all - gpu, rounds)
      // Rounded the other way, so that no round is left without a layer.
      const gpuLayers = up(round + 1, gpu, rounds) - up(round, gpu, rounds)
      const layers = cpuLayers + gpuLayers
      if (layers === 0) continue
      const last = windows.at(-1)
      if (last?.device === device && last.gpuLayers === 0) {
        last.layers += layers
        last.gpuLayers = gpuLayers
      } else windows.push({ device, firstLayer, layers, gpuLayers })
      firstLayer += layers
    }
  }
  return windows
}

const down = (round: number, layers: number, rounds: number): number => Math.floor((round * layers) / rounds)
const up = (round: number, layers: number, rounds: number): number => Math.ceil((round * layers) / rounds)

/** nLayers over n devices, sizes differing by one at most, the larger ones not all at one end. */
export const evenLayers = (n: number, nLayers: number): number[] =>
  Array.from({ length: n }, (_, i) => down(i + 1, nLayers, n) - down(i, nLayers, n))
