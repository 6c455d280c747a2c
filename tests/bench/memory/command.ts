/**
 * `npm run bench -- memory [--json] [--out FILE]`
 *
 * @module
 */
import { counts, someOf } from '../../arguments.ts'
import type { BenchCommand } from '../command.ts'
import { largeModels, memoryParts, runMemoryBench } from './memory.ts'
import { memoryText } from './report.ts'

const usage = `Usage: npm run bench -- memory [options]

  Models that are larger than the memory of the tabs that run them. As root on Linux, browsers are really capped, by
  control groups: memory with the page cache in it, and the disk's speed. Parts:
    ablation  no read-ahead, read-ahead with k = 1, 2, 4, 8, everything pinned; memory for 0.6 of the model
    bound     a token's time beside what reading and computing alone take, with three speeds of the disk
    sessions  1, 2, 4, 8 conversations at once with memory for 0.6 of the model
    drafts    answers with and without guesses, in turns: with memory for all of the model and for 0.6
    large     8B on 2 tabs of 1 GB, 32B on 4 of 2 GB, 70B on 4 of 3.5 GB: made-up weights of 5, 20 and 42 GB, each
              where the disk has room for them
    mmap      llama.cpp native with its file mapped, as much memory for weights on both sides
    budget    200 tokens while the budgets move

  --parts P,…    (default all)
  --large L,…    of ${largeModels.join(', ')} (default all)
  --tabs N,…     of 2, 4 in ablation (default both)
  --gen N        tokens of each answer in ablation, bound, sessions and mmap (default 12)
  --json         one object on stdout and nothing else
  --out FILE     the same object into a file
`

export const memoryCommand: BenchCommand = {
  usage,
  options: ['parts', 'large', 'tabs', 'gen'],
  async run(values, log) {
    const report = await runMemoryBench(
      {
        parts: someOf('parts', values['parts'], memoryParts),
        large: someOf('large', values['large'], largeModels),
        tabs: counts('tabs', values['tabs'] ?? '2,4'),
        genTokens: counts('gen', values['gen'] ?? '12')[0]!,
      },
      log,
    )
    return { report, text: memoryText(report) }
  },
}
