/**
 * `npm run bench -- cpu [--json] [--out FILE]`
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { recipes } from '../../packages/engine/src/testing/synth/index.ts'
import { runBench, type BenchChoices } from './cpu.ts'
import { reportText } from './report.ts'
import { shapeName } from './synth-file.ts'

const engines = ['hearth', 'wllama', 'llama.cpp'] as const
const parts = ['engines', 'layers', 'context', 'ring'] as const
const types = Object.keys(recipes) as (keyof typeof recipes)[]

const usage = `Usage: npm run bench -- cpu [options]

  A synthetic ${shapeName} in Chromium; medians. Parts:
    engines  decode and prefill beside wllama in Chromium and llama.cpp native: one file, the same threads, in turns
    layers   decode with 8, 16 and 32 layers
    context  decode behind 1 to 2000 tokens
    ring     two tabs of one thread beside one tab of one thread

  --parts P,…    (default all)
  --types T,…    of ${types.join(', ')} (default Q4_0,Q4_K_M,Q8_0); all parts but engines take the first
  --threads N,…  (default 1,2); layers and context take the first
  --prompts P,…  prefills to time; the first is followed by decoding (default 57,512)
  --gen N        tokens to decode (default 24)
  --rounds N     an engine that needs over 15 s for one is asked once (default 3)
  --engines E,…  of ${engines.join(', ')} (default all)
  --json         one object on stdout and nothing else
  --out FILE     the same object into a file
`

class UsageError extends Error {}

async function main(): Promise<void> {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean', default: false } as const
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      parts: text,
      types: text,
      threads: text,
      prompts: text,
      gen: text,
      rounds: text,
      engines: text,
      out: text,
      json: flag,
      help: flag,
    },
  })
  if (values.help) return void process.stdout.write(usage)
  if (positionals.join() !== 'cpu') throw new UsageError('Say what to measure: cpu.')
  const choices: BenchChoices = {
    parts: choose('parts', values.parts, parts),
    types: choose('types', values.types ?? 'Q4_0,Q4_K_M,Q8_0', types),
    engines: choose('engines', values.engines, engines),
    threads: counts('threads', values.threads ?? '1,2'),
    prompts: counts('prompts', values.prompts ?? '57,512'),
    genTokens: counts('gen', values.gen ?? '24')[0]!,
    rounds: counts('rounds', values.rounds ?? '3')[0]!,
  }
  const report = await runBench(choices, (line) => process.stderr.write(`${line}\n`))
  if (values.out !== undefined) await writeFile(values.out, `${JSON.stringify(report, null, 2)}\n`)
  process.stdout.write(`${values.json ? JSON.stringify(report) : reportText(report)}\n`)
}

function choose<T extends string>(name: string, text: string | undefined, known: readonly T[]): T[] {
  if (text === undefined) return [...known]
  return text.split(',').map((word) => {
    const choice = known.find((candidate) => candidate === word)
    if (choice !== undefined) return choice
    throw new UsageError(`--${name} takes ${known.join(', ')}, not ${JSON.stringify(word)}.`)
  })
}

function counts(name: string, text: string): number[] {
  return text.split(',').map((word) => {
    const value = Number(word)
    if (Number.isInteger(value) && value > 0) return value
    throw new UsageError(`--${name} takes whole numbers above 0, not ${JSON.stringify(word)}.`)
  })
}

try {
  await main()
} catch (thrown) {
  if (!(thrown instanceof UsageError) && !(thrown instanceof TypeError)) throw thrown
  process.stderr.write(`${thrown.message}\n\n${usage}`)
  process.exitCode = 1
}
