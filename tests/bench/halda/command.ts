/**
 * `npm run bench -- halda [--json] [--out FILE]`
 *
 * @module
 */
import { counts, someOf } from '../../arguments.ts'
import type { BenchCommand } from '../command.ts'
import { measureCases, predictionCases, type CaseName } from './predictions.ts'
import { haldaText, type HaldaReport } from './report.ts'
import { comparePlanners } from './rivals.ts'
import { chooseRounds } from './rounds.ts'
import { timeSolver } from './solver-times.ts'

const parts = ['solver', 'rivals', 'predicted', 'rounds'] as const
const caseNames = Object.keys(predictionCases) as CaseName[]

const usage = `Usage: npm run bench -- halda [options]

  The planner. Parts:
    solver     time of a first plan, each in a process of its own
    rivals     how the plans of others compare, on random clusters
    predicted  predicted beside measured time per token, in tabs of one thread
    rounds     a model larger than the memory of two tabs: the k that is chosen beside k = 1

  --parts P,…    (default all)
  --cases C,…    of ${caseNames.join(', ')} (default all)
  --gen N        tokens of each answer (default 32)
  --json         one object on stdout and nothing else
  --out FILE     the same object into a file
`

export const haldaCommand: BenchCommand = {
  usage,
  options: ['parts', 'cases', 'gen'],
  async run(values, log) {
    const wanted = someOf('parts', values['parts'] ?? parts.join(), parts)
    const cases = someOf('cases', values['cases'] ?? caseNames.join(), caseNames)
    const genTokens = counts('gen', values['gen'] ?? '32')[0]!
    const report: HaldaReport = { solver: [], rivals: [], predicted: [], rounds: [] }
    if (wanted.includes('solver')) report.solver = await timeSolver(log)
    if (wanted.includes('rivals')) report.rivals = await comparePlanners()
    if (wanted.includes('predicted')) report.predicted = await measureCases(cases, genTokens, log)
    if (wanted.includes('rounds')) report.rounds = await chooseRounds(genTokens, log)
    return { report, text: haldaText(report) }
  },
}
