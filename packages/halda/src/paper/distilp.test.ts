import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import {
  alphaSec,
  betaSec,
  layerMemoryBytes,
  solveDistilp,
  type MacModel,
  type MacProfile,
} from './distilp.ts'
import { solveWithHighs } from './highs.ts'

type Oracle = {
  model: MacModel
  devices: MacProfile[]
  expected: {
    layerMemoryBytes: number
    alphaSec: number[]
    betaSec: number[]
    k: number
    w: number[]
    n: number[]
    objectiveSec: number
    objectiveSecByK: Record<string, number>
    f16: { w: number[] }
  }
}

const { model, devices, expected }: Oracle = JSON.parse(
  readFileSync(new URL('oracles/distilp-two-macs.json', import.meta.url), 'utf8'),
)

const best = (splits: Awaited<ReturnType<typeof solveDistilp>>) =>
  splits.toSorted((a, b) => a.objectiveSec - b.objectiveSec)[0]

it('two Macs run Llama-3-70B in two rounds under the cost of distilp', async () => {
  const memoryBytes = layerMemoryBytes(model, 0.5)
  expect(memoryBytes).toBe(expected.layerMemoryBytes)
  for (const [m, mac] of devices.entries()) {
    expect(alphaSec(mac, model, memoryBytes)).toBeCloseTo(expected.alphaSec[m] ?? 0, 7)
    expect(betaSec(mac, model, memoryBytes)).toBeCloseTo(expected.betaSec[m] ?? 0, 7)
  }
  const splits = await solveDistilp(devices, model, 0.5, solveWithHighs)
  expect(best(splits)).toMatchObject({ k: expected.k, w: expected.w, n: expected.n })
  expect(best(splits)?.objectiveSec).toBeCloseTo(expected.objectiveSec, 5)
  const byK = Object.fromEntries(splits.map(({ k, objectiveSec }) => [k, Number(objectiveSec.toFixed(3))]))
  expect(byK).toEqual(expected.objectiveSecByK)
})

it('a KV cache in f16 moves one layer to the Mac with more memory', async () => {
  expect(best(await solveDistilp(devices, model, 2, solveWithHighs))?.w).toEqual(expected.f16.w)
})
