import { describe, expect, it } from 'vitest'
import { createRandom } from '../random-cluster.fixture.ts'
import { solveWithHighs } from './highs.ts'
import { judgeLayerProgram } from './layer-program-judge.fixture.ts'
import type { MilpProgram } from './milp.ts'
import { randomProblem } from './random-problem.fixture.ts'
import { paperCostMs, solvePaperExact } from './solve-paper-exact.ts'
import { july2025Rules, publishedRules, solvePaper, solvePaperWithSelection } from './solve-paper.ts'

describe('HiGHS', () => {
  it('finds the minimum that trying everything finds, on the programs of random households', async () => {
    const random = createRandom(30)
    const programs: MilpProgram[] = []
    for (let trial = 0; trial < 12; trial++) {
      const remember = (program: MilpProgram) => {
        programs.push(program)
        return judgeLayerProgram(program)
      }
      await solvePaper(randomProblem(random), remember, trial % 2 === 0 ? publishedRules : july2025Rules)
    }
    let infeasible = 0
    for (const program of programs) {
      const judged = await judgeLayerProgram(program)
      const solved = await solveWithHighs(program)
      if (judged === null) infeasible++
      expect(solved === null).toBe(judged === null)
      expect(solved?.cost ?? 0).toBeCloseTo(judged?.cost ?? 0, 5)
    }
    expect(programs.length).toBeGreaterThan(50)
    expect(infeasible).toBeGreaterThan(5)
    expect(infeasible).toBeLessThan(programs.length / 2)
  })
})

describe('the exact minimum of the published cost', () => {
  it('is no worse than Halda on 500 random households of two to six devices', async () => {
    const random = createRandom(500)
    const extra: number[] = []
    let withoutAnswer = 0
    for (let trial = 0; trial < 500; trial++) {
      const problem = randomProblem(random)
      const exact = solvePaperExact(problem)
      expect(paperCostMs(problem, exact.split)).toBeCloseTo(exact.objectiveMs, 6)
      const halda = await solvePaperWithSelection(problem, judgeLayerProgram)
      if (halda === null) {
        withoutAnswer++
        continue
      }
      expect(halda.split.w.reduce((sum, w) => sum + w, 0) * halda.split.k).toBe(problem.nLayers)
      const ratio = paperCostMs(problem, halda.split) / exact.objectiveMs
      expect(ratio).toBeGreaterThan(1 - 1e-9)
      extra.push(Math.max(0, ratio - 1))
    }
    const worse = extra.filter((each) => each > 1e-9).toSorted((a, b) => a - b)
    const percent = (share: number) => `${(100 * share).toFixed(1)} %`
    expect({
      withoutAnswer,
      optimal: extra.length - worse.length,
      worse: worse.length,
      medianOfWorse: percent(worse[Math.floor(worse.length / 2)] ?? 0),
      worst: percent(worse.at(-1) ?? 0),
    }).toMatchInlineSnapshot(`
      {
        "medianOfWorse": "13.3 %",
        "optimal": 173,
        "withoutAnswer": 1,
        "worse": 326,
        "worst": "13802.3 %",
      }
    `)
  })
})
