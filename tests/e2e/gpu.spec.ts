/**
 * Devices with a GPU: SwiftShader, which computes on the processor what a GPU would.
 */
import { expect, test } from '@playwright/test'
import { startCluster, type RunningCluster } from '../cluster/run-cluster.ts'

const options = { model: 'demo', split: 'fastest', dtype: 'f32', threads: 1, gpu: true } as const

let cluster: RunningCluster
test.afterEach(() => cluster.close())

const gpuInProfile = async (device: number) => {
  const { device: own, room } = await cluster.state(device)
  return room?.devices.find((view) => view.device === own)?.profile?.gpu
}

test('a device tells how fast its GPU is, and one whose GPU is switched off tells of none', async () => {
  cluster = await startCluster({ ...options, devices: 2, gpuBudgetsBytes: [200e6, 0] })
  const [alice, bob] = cluster.pages
  await expect.poll(() => gpuInProfile(0), { timeout: 20_000 }).toBeTruthy()
  const gpu = (await gpuInProfile(0))!
  expect(gpu.memoryBytes).toBe(200e6)
  expect(Object.values(gpu.weightBytesPerSec).every((rate) => rate > 1e5)).toBe(true)
  await expect(alice!.getByTestId('gpu')).toHaveText('google swiftshader, at rest')
  expect(await gpuInProfile(1)).toBeUndefined()
  await expect(bob!.getByTestId('gpu')).toHaveText('google swiftshader, switched off in the settings')
})
