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

/** Of the demo models' eight layers, in rings of two and more; the other devices of the room only ask. */
const rings = [
  [4, 4],
  [3, 3, 2],
  [2, 2, 2, 2],
]
/** Alone, a device sends no frames. */
const rooms = [
  { dtype: 'f16', rings },
  { dtype: 'f32', rings: [[8], ...rings] },
] as const

for (const { dtype, rings } of rooms) {
  test.describe(`with ${dtype} frames`, () => {
    test.describe.configure({ timeout: 120_000 })
    let cluster: RunningCluster
    test.beforeAll(async () => {
      cluster = await startCluster({
        devices: 4,
        model: 'demo',
        split: 'even',
        dtype,
        threads: 1,
        sharesMeasurements: true,
      })
    })
    test.afterAll(() => cluster?.close())

    for (const layers of rings) {
      test(`a ring of ${layers.length} gives llama.cpp’s answers, and every device asks`, async () => {
        test.skip(!existsSync(expectedFile), 'llama.cpp’s answers lie beside the project, in ../shared/demo')
        const expected = JSON.parse(readFileSync(expectedFile, 'utf8')) as Expected
        for (const [model, cases] of Object.entries(expected)) {
          if (!Array.isArray(cases)) continue
          const plan = await cluster.choose(`/models/${model}.gguf`, 1, layers)
          expect(plan.windows.map((window) => window.layers).toSorted()).toEqual(layers.toSorted())
          expect(new Set(plan.windows.map(({ device }) => device)).size).toBe(layers.length)
          const questions = cases.filter(({ exact }) => exact)
          // Every device asks its share, one question after the other, while the others ask theirs.
          const asked = cluster.pages.map(async (_, device) => {
            for (const [i, { messages, text }] of questions.entries()) {
              if (i % cluster.pages.length !== device) continue
              const chat = `golden-${model}-${layers.length}-${i}`
              const answer = await cluster.chat(device, chat, turnsOf(messages))
              expect(answer.text, `${model}: ${messages.at(-1)}`).toBe(text)
            }
          })
          await Promise.all(asked)
        }
      })
    }

    test('the second turn runs only what is new', async () => {
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

    test('guesses change no word, and those that come true make no trip', async () => {
      await cluster.choose('/models/demo-q4_k_m.gguf')
      const question: ChatMessage = { role: 'user', content: 'Tell me a story about a fox' }
      const { text } = await cluster.chat(0, 'guessed-once', [question])
      const twice: ChatMessage[] = [question, { role: 'assistant', content: text }, question]
      const never = await cluster.chat(0, 'guessed-never', twice, { drafts: 'never' })
      expect(never.stats).toMatchObject({ draftedTokens: 0, acceptedTokens: 0 })
      const always = await cluster.chat(0, 'guessed-always', twice, { drafts: 'always' })
      expect(always.text).toBe(never.text)
      expect(always.stats.acceptedTokens).toBeGreaterThan(10)
      expect((await cluster.chat(0, 'guessed-as-timed', twice)).text).toBe(never.text)
      const random = { temperature: 0.8, topP: 0.95, seed: 7 }
      const drawn = await cluster.chat(0, 'drawn-never', twice, { ...random, drafts: 'never' })
      const guessed = await cluster.chat(0, 'drawn-always', twice, { ...random, drafts: 'always' })
      expect(guessed.text).toBe(drawn.text)
      expect(guessed.stats.draftedTokens).toBeGreaterThan(0)
    })
  })
}
