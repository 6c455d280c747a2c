import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { hasSharedFiles, noSharedFiles, sharedJson, sharedPath } from '../testing/shared-files.ts'
import { tinyModel, type TinyModelOptions } from '../testing/tiny-model.ts'
import { divergence, type Golden } from '../testing/golden-model.ts'
import { runCommand } from './run-command.ts'

const folder = mkdtempSync(join(tmpdir(), 'hearth-cli-'))
afterAll(() => rmSync(folder, { recursive: true }))

function tinyFile(name: string, options: TinyModelOptions = {}): string {
  const path = join(folder, `${name}.gguf`)
  writeFileSync(path, tinyModel(options))
  return path
}
const tiny = tinyFile('tiny')

async function command(...args: string[]): Promise<{ code: number; out: string; note: string }> {
  let out = ''
  let note = ''
  const code = await runCommand(args, { out: (text) => (out += text), note: (text) => (note += text) })
  return { code, out, note }
}

describe('logits', () => {
  test('prints the most likely tokens and their probabilities, and nothing else', async () => {
    const { code, out, note } = await command(
      'logits',
      tiny,
      '--tokens',
      '1,2,3',
      '--top',
      '5',
      '--backend',
      'reference',
    )
    expect([code, note]).toEqual([0, ''])
    const top = JSON.parse(out) as [number, number][]
    expect(top).toHaveLength(5)
    expect(top.map(([, p]) => p)).toEqual(top.map(([, p]) => p).toSorted((a, b) => b - a))
  })

  test('all probabilities together make one', async () => {
    const { out } = await command('logits', tiny, '--tokens', '7', '--top', '1000')
    const top = JSON.parse(out) as [number, number][]
    expect(top).toHaveLength(288)
    expect(top.reduce((sum, [, p]) => sum + p, 0)).toBeCloseTo(1, 5)
  })

  test.skipIf(!hasSharedFiles)(
    `gives what llama.cpp gives${hasSharedFiles ? '' : `: ${noSharedFiles}`}`,
    async () => {
      const [golden] = sharedJson<Golden>('golden/models/llama-Q8_0.json').exact
      const file = sharedPath('golden/models/llama-Q8_0.gguf')
      const { out } = await command(
        'logits',
        file,
        '--tokens',
        golden!.tokens.join(),
        '--backend',
        'reference',
        '--top',
        '2048',
      )
      const p = new Float32Array(2048)
      for (const [token, probability] of JSON.parse(out) as [number, number][]) p[token] = probability
      expect(Math.abs(divergence(golden!.top, p))).toBeLessThanOrEqual(1e-3)
    },
  )
})

describe('tokenize', () => {
  test('prints ids, and parses special tokens only when asked', async () => {
    const plain = await command('tokenize', tiny, '--text', 'the<|im_end|>')
    const special = await command('tokenize', tiny, '--text', 'the<|im_end|>', '--special')
    expect(JSON.parse(special.out)).toEqual([257, 266])
    expect((JSON.parse(plain.out) as number[]).length).toBeGreaterThan(2)
  })
})

describe('run', () => {
  test('streams an answer and says how long it took', async () => {
    const { code, out, note } = await command(
      'run',
      tiny,
      '--prompt',
      'the',
      '--chat',
      '--greedy',
      '--max-tokens',
      '4',
    )
    expect(code).toBe(0)
    expect(out.endsWith('\n')).toBe(true)
    expect(note).toMatch(/^\d+ prompt tokens, TTFT \d+ ms · [0-4] tokens/)
  })

  test('one seed gives one answer', async () => {
    const sample = (seed: string) =>
      command(
        'run',
        tiny,
        '--prompt',
        'the',
        '--temperature',
        '2',
        '--top-p',
        '1',
        '--seed',
        seed,
        '--max-tokens',
        '12',
      )
    const [first, again, other] = [await sample('1'), await sample('1'), await sample('2')]
    expect(first.out).toBe(again.out)
    expect(first.out).not.toBe(other.out)
  })

  test('a prompt longer than the context is refused with the numbers', async () => {
    const small = tinyFile('small', { contextLength: 4 })
    const { code, note } = await command('run', small, '--prompt', 'what is the weather')
    expect(code).toBe(1)
    expect(note).toMatch(/^The prompt has \d+ tokens; this model reads 4, the answer included\./)
  })
})

describe('bad arguments and files are answered in sentences', () => {
  const notGguf = join(folder, 'page.gguf')
  writeFileSync(notGguf, '<html>')
  const mamba = tinyFile('mamba', { metadata: { 'general.architecture': 'mamba' } })
  const cases: [string, string[], RegExp][] = [
    ['no command', [], /^Name a command\.\n\nUsage:/],
    ['an unknown command', ['fly'], /^There is no command "fly"\.\n\nUsage:/],
    ['no file', ['logits', '--tokens', '1'], /^Name a GGUF file\./],
    ['an unknown option', ['logits', tiny, '--token', '1'], /^Unknown option '--token'/],
    ['tokens that are none', ['logits', tiny, '--tokens', '1;2'], /^--tokens takes ids with commas/],
    ['a token that the model lacks', ['logits', tiny, '--tokens', '288'], /tokens 0 to 287; 288 is not one/],
    [
      'more tokens than the context',
      ['logits', tiny, '--tokens', Array(300).fill(1).join()],
      /reads 256 tokens at most/,
    ],
    [
      'a number out of range',
      ['run', tiny, '--prompt', 'x', '--top-p', '2'],
      /^--top-p takes a number from 0 to 1, not "2"/,
    ],
    [
      'a part of a token',
      ['run', tiny, '--prompt', 'x', '--max-tokens', '1.5'],
      /^--max-tokens takes a whole number/,
    ],
    [
      'greedy and a seed',
      ['run', tiny, '--prompt', 'x', '--greedy', '--seed', '1'],
      /^--greedy leaves nothing/,
    ],
    [
      'an unknown backend',
      ['logits', tiny, '--tokens', '1', '--backend', 'gpu'],
      /^--backend takes .*reference.*, not "gpu"/,
    ],
    [
      'a file that is not there',
      ['logits', join(folder, 'none.gguf'), '--tokens', '1'],
      /none\.gguf cannot be read/,
    ],
    ['a file that is no model', ['tokenize', notGguf, '--text', 'x'], /^This is not a GGUF file/],
    [
      'another architecture',
      ['logits', mamba, '--tokens', '1'],
      /architecture is "mamba"; Hearth runs llama and qwen2/,
    ],
  ]
  test.each(cases)('%s', async (_, args, sentence) => {
    const { code, out, note } = await command(...args)
    expect([code, out]).toEqual([1, ''])
    expect(note).toMatch(sentence)
    expect(note).not.toContain('    at ')
  })
})
