/**
 * A model larger than the memory of its devices: layers stream from OPFS, and the words stay the same.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from '@playwright/test'
import { modelShapes, synthModel } from '@hearth/engine/testing'
import { startCluster, type ClusterOptions } from '../cluster/run-cluster.ts'

let folder: string
let model: string

/** 24 layers of 3 MB. */
const shape = {
  ...modelShapes['hearth-1.1b'],
  nLayers: 24,
  dim: 512,
  nHeads: 8,
  nKvHeads: 2,
  ffnDim: 1536,
  vocabSize: 300,
  contextLength: 256,
}

test.beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'hearth-streaming-'))
  model = path.join(folder, 'twenty-four-layers.gguf')
  const { sizeBytes, read } = synthModel(shape, 'Q8_0', { seed: 5 })
  const bytes = new Uint8Array(sizeBytes)
  read(0, bytes)
  await writeFile(model, bytes)
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
  const budgetsBytes = [40e6]
  for (const [devices, rounds, budgets] of [
    [1, 1, budgetsBytes],
    [2, 1, [32e6, 1e9]],
    [2, 3, [32e6, 32e6]],
  ] as const) {
    const { text, figures } = await answer({ devices, rounds, budgetsBytes: budgets })
    expect(text, `${devices} devices, ${rounds} rounds`).toBe(pinned.text)
    for (const { name, peakMemoryBytes, budgetBytes } of figures) {
      expect(peakMemoryBytes, name).toBeLessThanOrEqual(1.1 * budgetBytes)
    }
    expect(figures[0]!.streamedLayers).toBeGreaterThan(0)
  }
})
