/**
 * A model larger than the memory of its devices: layers stream from OPFS, and the words stay the same.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from '@playwright/test'
import { modelShapes, synthModel } from '@hearth/engine/testing'
import { startCluster, type RunningCluster } from '../cluster/run-cluster.ts'

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
  contextLength: 512,
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

const usual = { split: 'even', dtype: 'f32', threads: 1, sharesMeasurements: true } as const
const roomyBytes = 1e9

const setBudgets = ({ pages }: RunningCluster, bytes: readonly number[]) =>
  Promise.all(
    pages.map((page, i) => page.evaluate((bytes) => window.hearth.setMemoryBudget(bytes), bytes[i]!)),
  )

test.describe('with half the memory', () => {
  /** Two tabs that cannot hold their halves of the model, with disks that are slower than their processors on any machine. */
  let ring: RunningCluster
  test.beforeAll(async () => {
    ring = await startCluster({ ...usual, devices: 2, model, budgetsBytes: [32e6], diskBytesPerSec: 400e6 })
    await ring.choose(model, 1)
  })
  test.afterAll(() => ring?.close())

  test('one tab and rings of two, k = 1 and 3, say what they say with all of it', async () => {
    test.setTimeout(150_000)
    const question = [{ role: 'user' as const, content: 'the hearth and the house in the evening' }]
    const ask = async (cluster: RunningCluster, chat: string) =>
      (await cluster.chat(0, `streaming-${chat}`, question, { maxTokens: 24 })).text

    async function streamed(cluster: RunningCluster, chat: string): Promise<string> {
      const text = await ask(cluster, chat)
      const figures = await cluster.figures()
      for (const { name, peakMemoryBytes, budgetBytes } of figures) {
        expect(peakMemoryBytes, `${name}, ${chat}`).toBeLessThanOrEqual(1.1 * budgetBytes)
      }
      expect(figures[0]!.streamedLayers, chat).toBeGreaterThan(0)
      return text
    }

    const alone = await startCluster({ ...usual, devices: 1, model, budgetsBytes: [40e6] })
    const texts: string[] = []
    let pinned: string
    try {
      await alone.choose(model)
      texts.push(await streamed(alone, 'alone'))
      await setBudgets(alone, [roomyBytes])
      pinned = await ask(alone, 'pinned')
      expect(pinned.length).toBeGreaterThan(0)
      expect((await alone.figures())[0]!.streamedLayers).toBe(0)
    } finally {
      await alone.close()
    }
    await ring.choose(model, 3)
    texts.push(await streamed(ring, 'three-rounds'))
    // Last: what a device has held at most counts from its start.
    await setBudgets(ring, [32e6, roomyBytes])
    await ring.choose(model, 1)
    texts.push(await streamed(ring, 'one-round'))
    expect(texts).toEqual([pinned, pinned, pinned])
  })

  test('tabs that ask at the same time are answered as if alone, and what streams is read once for all', async () => {
    test.setTimeout(120_000)
    const asked = ['the hearth and the house', 'a fox and seven geese', 'in the evening', 'once more'].map(
      (content, i) => ({ from: i % 2, chat: `at-once-${i}`, messages: [{ role: 'user' as const, content }] }),
    )
    const maxTokens = 16
    /** What both have read of their stores until now. */
    const readBytes = async () => (await ring.figures()).reduce((sum, device) => sum + device.readBytes, 0)
    await setBudgets(ring, [32e6, 32e6])
    // What streams is known once somebody was answered.
    await ring.chat(0, 'at-once-warm', asked[0]!.messages, { maxTokens: 1 })
    const beforeBytes = await readBytes()
    const alone: string[] = []
    for (const { from, chat, messages } of asked)
      alone.push((await ring.chat(from, `${chat}-alone`, messages, { maxTokens, drafts: 'never' })).text)
    expect(new Set(alone).size).toBe(asked.length)
    const aloneBytes = (await readBytes()) - beforeBytes
    const answers = await Promise.all(
      asked.map(({ from, chat, messages }) =>
        ring.chat(from, chat, messages, { maxTokens, drafts: 'never' }),
      ),
    )
    expect(answers.map(({ text }) => text)).toEqual(alone)
    // A quarter, and as many passes as the last question comes after the first.
    expect((await readBytes()) - beforeBytes - aloneBytes).toBeLessThan(0.5 * aloneBytes)
  })
})

test('budgets that move up and down change no word of 200, and no memory is lost', async () => {
  test.setTimeout(120_000)
  const cluster = await startCluster({ ...usual, devices: 2, model })
  const ask = () =>
    cluster.chat(0, 'moving-budget', [{ role: 'user', content: 'the hearth and the house' }], {
      maxTokens: 200,
      drafts: 'never',
    })
  /** Once a device tells what it holds with everything pinned again. */
  async function memory(): Promise<{ memoryBytes: number; reservedBytes: number }[]> {
    for (const page of cluster.pages)
      await page.waitForFunction(() => window.hearth.state().streaming === null)
    await new Promise((resolve) => setTimeout(resolve, 500))
    return Promise.all(cluster.pages.map((_, i) => cluster.state(i)))
  }
  try {
    await setBudgets(cluster, [roomyBytes, roomyBytes])
    await cluster.choose(model)
    // A prompt's last row is rounded otherwise among the rows before it than alone, where those are remembered.
    await ask()
    const judge = await ask()
    expect(judge.stats.outputTokens).toBe(200)
    const before = await memory()

    let answered = false
    const answer = ask().finally(() => (answered = true))
    answer.catch(() => {})
    let moves = 0
    let streamed = 0
    for (const budgets of repeated([
      [28e6, 32e6],
      [36e6, 28e6],
      [roomyBytes, 30e6],
      [30e6, roomyBytes],
    ])) {
      if (answered) break
      // A part takes 42 MB here; the plan stays as long as 26 MB are offered.
      await setBudgets(cluster, budgets)
      await new Promise((resolve) => setTimeout(resolve, 120))
      moves++
      if ((await cluster.state(0)).streaming) streamed++
    }
    expect((await answer).text).toBe(judge.text)
    expect(moves).toBeGreaterThan(10)
    expect(streamed).toBeGreaterThan(3)
    await setBudgets(cluster, [roomyBytes, roomyBytes])
    const after = await memory()
    for (const [i, { memoryBytes, reservedBytes }] of before.entries()) {
      expect(Math.abs(after[i]!.memoryBytes / memoryBytes - 1)).toBeLessThan(0.02)
      expect(after[i]!.reservedBytes / reservedBytes - 1).toBeLessThan(0.02)
    }

    await setBudgets(cluster, [32e6, roomyBytes])
    const page = cluster.pages[0]!
    await page.getByRole('button', { name: 'Settings' }).click()
    const inUse = page.getByRole('dialog').getByTestId('memory-in-use')
    const pressure = async () => Number(await inUse.getAttribute('data-pressure'))
    await expect.poll(pressure).toBeGreaterThan(0.8)
    await expect.poll(pressure).toBeLessThanOrEqual(1)
    await expect(inUse).toContainText(/of 32\.0 MB in use, \d+\s%/)
    await expect(inUse).toContainText('is read from storage')
    await expect(inUse).toContainText('The browser keeps')
  } finally {
    await cluster.close()
  }
})

function* repeated<T>(values: readonly T[]): Generator<T> {
  for (;;) yield* values
}
