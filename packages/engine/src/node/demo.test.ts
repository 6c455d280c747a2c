import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { hasSharedFiles, noSharedFiles, sharedJson } from '../testing/shared-files.ts'
import { runCommand } from './run-command.ts'

const models = ['demo-q8_0', 'demo-q4_k_m'] as const
const path = (model: string) =>
  fileURLToPath(new URL(`../../../../public/models/${model}.gguf`, import.meta.url))

async function command(...args: string[]): Promise<string> {
  let out = ''
  let note = ''
  const code = await runCommand(args, { out: (text) => (out += text), note: (text) => (note += text) })
  expect(code, note).toBe(0)
  return out.trimEnd()
}

const answer = (model: string, question: string, ...backend: string[]) =>
  command('run', path(model), '--chat', '--greedy', '--prompt', question, '--backend', ...backend)

describe.each(models)('%s, which ships with Hearth', (model) => {
  // llama.cpp's answers, which rounding cannot change (made-by/ tells how the model came to be)
  test.each(['reference', 'wasm'])('answers as on llama.cpp: %s', async (backend) => {
    expect(await answer(model, 'What is 7 + 5?', backend)).toBe('7 plus 5 is 12.')
    expect(await answer(model, 'What color is the sky?', backend)).toBe('The sky is blue.')
  })

  test('has nearly the same probabilities on wasm as on the reference', async () => {
    const logits = async (backend: string) => {
      const out = await command(
        'logits',
        path(model),
        '--tokens',
        '1915,284,10,1534,636',
        '--top',
        '2048',
        '--backend',
        backend,
      )
      return JSON.parse(out) as [token: number, probability: number][]
    }
    const fast = new Map(await logits('wasm'))
    const divergence = (await logits('reference')).reduce(
      (sum, [token, p]) => sum + p * Math.log(p / fast.get(token)!),
      0,
    )
    expect(divergence).toBeLessThanOrEqual(0.01)
  })
})

/** One conversation as llama.cpp continues it; `exact` where rounding cannot change it. */
type Expected = Record<(typeof models)[number], { messages: string[]; text: string; exact: boolean }[]>

describe.skipIf(!hasSharedFiles)(`llama.cpp's answers${hasSharedFiles ? '' : `: ${noSharedFiles}`}`, () => {
  const expected: Partial<Expected> = hasSharedFiles ? sharedJson<Expected>('demo/expected.json') : {}
  for (const model of models) {
    const questions = (expected[model] ?? []).filter(({ messages, exact }) => exact && messages.length === 1)
    test.each(questions)(`${model}: $messages.0`, async ({ messages, text }) => {
      expect(await answer(model, messages[0]!, 'wasm', '--threads', '1')).toBe(text)
    })
  }
})
