/**
 * Devices with a GPU: SwiftShader, which computes on the processor what a GPU would.
 */
import { expect, test } from '@playwright/test'
import { hasSoftwareGpu, noSoftwareGpu } from '../chromium.ts'
import { startCluster, type RunningCluster } from '../cluster/run-cluster.ts'

let cluster: RunningCluster
test.beforeAll(async () => {
  cluster = await startCluster({
    devices: 2,
    model: 'demo',
    split: 'fastest',
    dtype: 'f32',
    threads: 1,
    sharesMeasurements: true,
    gpu: true,
    gpuBudgetsBytes: [200e6, 0],
    layers: [5, 3],
    gpuLayers: [2, 0],
  })
})
test.beforeEach(async () => test.skip(!(await hasSoftwareGpu(cluster.pages[0]!)), noSoftwareGpu))
test.afterAll(() => cluster.close())

const gpuInProfile = async (device: number) => {
  const { device: own, room } = await cluster.state(device)
  return room?.devices.find((view) => view.device === own)?.profile?.gpu
}

test('a device tells how fast its GPU is, and one whose GPU is switched off tells of none', async () => {
  const [alice, bob] = cluster.pages
  await expect.poll(() => gpuInProfile(0), { timeout: 20_000 }).toBeTruthy()
  const gpu = (await gpuInProfile(0))!
  expect(gpu.memoryBytes).toBe(200e6)
  expect(Object.values(gpu.weightBytesPerSec).every((rate) => rate > 1e5)).toBe(true)
  await expect(alice!.getByTestId('gpu')).toHaveText('google swiftshader, at rest')
  expect(await gpuInProfile(1)).toBeUndefined()
  await expect(bob!.getByTestId('gpu')).toHaveText('google swiftshader, switched off in the settings')
})

test('a ring of which some layers run on a GPU says the words of one without', async () => {
  await expect.poll(() => gpuInProfile(0), { timeout: 20_000 }).toBeTruthy()
  const { windows } = await cluster.choose('demo')
  // Who comes first is the planner's to say.
  expect(new Map(windows.map(({ layers, gpuLayers }) => [layers, gpuLayers]))).toEqual(
    new Map([
      [5, 2],
      [3, 0],
    ]),
  )
  // llama.cpp's words for the demo model, of which each wins by far.
  const question = [{ role: 'user' as const, content: 'What is 7 + 5?' }]
  expect((await cluster.chat(1, 'gpu-test', question)).text).toBe('7 plus 5 is 12.')
})
