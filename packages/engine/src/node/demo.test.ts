import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { hasSharedFiles, noSharedFiles, sharedJson } from '../testing/shared-files.ts'
import { runCommand } from './run-command.ts'

const models = ['demo-q8_0', 'demo-q4_k_m'] as const
const path = (model: string) =>
  fileURLToPath(new URL(`../../../../public/models/${model}.gguf`, import.meta.url))

async function answer(model: string, question: string, backend: string): Promise<string> {
  let out = ''
  let note = ''
  const args = ['run', path(model), '--chat', '--greedy', '--prompt', question, '--backend', backend]
  const code = await runCommand(args, { out: (text) => (out += text), note: (text) => (note += text) })
  expect(code, note).toBe(0)
  return out.trimEnd()
}

describe.each(models)('%s, which ships with Hearth', (model) => {
  test('answers on the reference as on llama.cpp', async () => {
    expect(await answer(model, 'What is 7 + 5?', 'reference')).toBe('7 plus 5 is 12.')
  })
})

/** One conversation as llama.cpp continues it; `exact` where rounding cannot change it. */
type Expected = Record<(typeof models)[number], { messages: string[]; text: string; exact: boolean }[]>

describe.skipIf(!hasSharedFiles)(`llama.cpp's answers${hasSharedFiles ? '' : `: ${noSharedFiles}`}`, () => {
  const expected: Partial<Expected> = hasSharedFiles ? sharedJson<Expected>('demo/expected.json') : {}
  for (const model of models) {
    const questions = (expected[model] ?? []).filter(({ messages, exact }) => exact && messages.length === 1)
    test.each(questions)(`${model}: $messages.0`, async ({ messages, text }) => {
      expect(await answer(model, messages[0]!, 'reference')).toBe(text)
    })
  }
})
