/**
 * Rings of real tabs say what llama.cpp says, to everybody who asks at the same time.
 */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from '@playwright/test'
import type { ChatMessage } from '@hearth/engine'
import { startCluster, type RunningCluster } from '../cluster/run-cluster.ts'

const expectedFile = path.resolve(import.meta.dirname, '../../../shared/demo/expected.json')

type Expected = Record<'demo-q8_0' | 'demo-q4_k_m', { messages: string[]; text: string; exact: boolean }[]>

const turnsOf = (messages: string[]): ChatMessage[] =>
  messages.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content }))

async function withCluster(
  options: { devices: number; dtype: 'f16' | 'f32'; threads?: number },
  use: (cluster: RunningCluster) => Promise<void>,
): Promise<void> {
  const cluster = await startCluster({ model: 'demo', split: 'even', threads: 1, ...options })
  try {
    await use(cluster)
  } finally {
    await cluster.close()
  }
}

/** Alone, a device sends no frames. */
const rings = [
  { devices: 1, dtype: 'f32' },
  ...[2, 3, 4].flatMap((devices) => [
    { devices, dtype: 'f16' as const },
    { devices, dtype: 'f32' as const },
  ]),
] as const

for (const { devices, dtype } of rings) {
  test(`a ring of ${devices} with ${dtype} frames gives llama.cpp’s answers, and every device asks`, async () => {
    test.skip(!existsSync(expectedFile), 'llama.cpp’s answers lie beside the project, in ../shared/demo')
    test.setTimeout(120_000)
    const expected = JSON.parse(readFileSync(expectedFile, 'utf8')) as Expected
    await withCluster({ devices, dtype }, async (cluster) => {
      for (const [model, cases] of Object.entries(expected)) {
        if (!Array.isArray(cases)) continue
        const plan = await cluster.choose(`/models/${model}.gguf`)
        expect(new Set(plan.windows.map(({ device }) => device)).size).toBe(devices)
        const questions = cases.filter(({ exact }) => exact)
        // Every device asks its share, one question after the other, while the others ask theirs.
        const asked = cluster.pages.map(async (_, device) => {
          for (const [i, { messages, text }] of questions.entries()) {
            if (i % devices !== device) continue
            const answer = await cluster.chat(device, `golden-${model}-${i}`, turnsOf(messages))
            expect(answer.text, `${model}: ${messages.at(-1)}`).toBe(text)
          }
        })
        await Promise.all(asked)
      }
    })
  })
}

test('the second turn runs only what is new', async () => {
  await withCluster({ devices: 2, dtype: 'f16' }, async (cluster) => {
    await cluster.choose('demo')
    const first: ChatMessage[] = [{ role: 'user', content: 'Tell me a story about a fox' }]
    const { text, stats } = await cluster.chat(0, 'two-turns', first)
    const second = await cluster.chat(0, 'two-turns', [
      ...first,
      { role: 'assistant', content: text },
      { role: 'user', content: 'What is 7 + 5?' },
    ])
    // All of the first turn but its last token, which was sampled and never run.
    expect(second.stats.cachedTokens).toBeGreaterThanOrEqual(stats.promptTokens + stats.outputTokens - 1)
  })
})
