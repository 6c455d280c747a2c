/**
 * A model larger than the memory of its devices: layers stream from OPFS, and the words stay the same.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from '@playwright/test'
import { tinyModel } from '@hearth/engine/testing'
import { startCluster, type ClusterOptions } from '../cluster/run-cluster.ts'

let folder: string
let model: string

test.beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'hearth-streaming-'))
  model = path.join(folder, 'twelve-layers.gguf')
  await writeFile(
    model,
    tinyModel({ type: 'Q8_0', dim: 512, ffnDim: 1536, nHeads: 8, nLayers: 12, seed: 11 }),
  )
})
test.afterAll(() => rm(folder, { recursive: true }))

async function answer(options: Partial<ClusterOptions>) {
  const cluster = await startCluster({
    devices: 1,
    model,
    split: 'even',
    dtype: 'f32',
    threads: 1,
    ...options,
  })
  try {
    await cluster.choose(model)
    const question = [{ role: 'user' as const, content: 'the hearth and the house in the evening' }]
    const { text } = await cluster.chat(0, 'streaming-test', question, { maxTokens: 24 })
    return { text, figures: await cluster.figures() }
  } finally {
    await cluster.close()
  }
}

test('one tab and rings of two, k = 1 and 3, say with half the memory what they say with all of it', async () => {
  test.setTimeout(150_000)
  const pinned = await answer({})
  expect(pinned.text.length).toBeGreaterThan(0)
  expect(pinned.figures[0]!.streamedLayers).toBe(0)
  const budgetsBytes = [28e6]
  for (const [devices, rounds, budgets] of [
    [1, 1, budgetsBytes],
    [2, 1, [24e6, 1e9]],
    [2, 3, [24e6, 24e6]],
  ] as const) {
    const { text, figures } = await answer({ devices, rounds, budgetsBytes: budgets })
    expect(text, `${devices} devices, ${rounds} rounds`).toBe(pinned.text)
    for (const { name, peakMemoryBytes, budgetBytes } of figures) {
      expect(peakMemoryBytes, name).toBeLessThanOrEqual(1.1 * budgetBytes)
    }
    if (devices === 1) expect(figures[0]!.streamedLayers).toBeGreaterThan(0)
  }
})
