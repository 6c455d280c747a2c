/**
 * `npm run bench -- cpu [--json] [--out FILE]`
 *
 * @module
 */
import { recipes } from '../../packages/engine/src/testing/synth/index.ts'
import { counts, someOf } from '../arguments.ts'
import type { BenchCommand } from './command.ts'
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
    ring     two tabs of one thread beside one tab of one thread, asked in turns: on a core each, and on all cores

  --parts P,…    (default all)
  --types T,…    of ${types.join(', ')} (default Q4_0,Q4_K_M,Q8_0); all parts but engines take the first
  --threads N,…  (default 1,2); layers and context take the first
  --prompts P,…  prefills to time; the first is followed by decoding (default 57,512)
  --gen N        tokens to decode (default 24)
  --rounds N     an engine that needs over 15 s for one is asked once (default 3)
  --turns N      of the ring and of the tab alone (default 15)
  --engines E,…  of ${engines.join(', ')} (default all)
  --json         one object on stdout and nothing else
  --out FILE     the same object into a file
`

export const cpuCommand: BenchCommand = {
  usage,
  options: ['parts', 'types', 'threads', 'prompts', 'gen', 'rounds', 'turns', 'engines'],
  async run(values, log) {
    const choices: BenchChoices = {
      parts: someOf('parts', values['parts'], parts),
      types: someOf('types', values['types'] ?? 'Q4_0,Q4_K_M,Q8_0', types),
      engines: someOf('engines', values['engines'], engines),
      threads: counts('threads', values['threads'] ?? '1,2'),
      prompts: counts('prompts', values['prompts'] ?? '57,512'),
      genTokens: counts('gen', values['gen'] ?? '24')[0]!,
      rounds: counts('rounds', values['rounds'] ?? '3')[0]!,
      turns: counts('turns', values['turns'] ?? '15')[0]!,
    }
    const report = await runBench(choices, log)
    return { report, text: reportText(report) }
  },
}
