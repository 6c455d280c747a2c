import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { solveWithHighs } from './highs.ts'
import type { PaperProblem } from './paper-problem.ts'
import { paperCostMs, solvePaperExact } from './solve-paper-exact.ts'
import {
  firstSplit,
  july2025Rules,
  publishedRules,
  solvePaper,
  solvePaperWithSelection,
  type PaperAnswer,
} from './solve-paper.ts'

type Expected = { w: number[]; n: number[]; objectiveMs: number }
type Figure8 = {
  rows: { problem: PaperProblem; expected: Expected & { forced: string[]; exact: Expected } }[]
}
type Llama8b = {
  laptopFirst: {
    problem: PaperProblem
    expected: Expected & { start: number[]; objectiveMsByK: Record<string, number>; selected: Expected }
  }
  desktopFirst: { problem: PaperProblem; expected: { w: number[]; selected: Expected } }
}

const readOracle = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`oracles/${name}`, import.meta.url), 'utf8'))

function found(answer: PaperAnswer | null): PaperAnswer {
  if (answer === null) throw new Error('no program was feasible')
  return answer
}

describe('Halda as published', () => {
  const { rows } = readOracle<Figure8>('figure-8.json')

  it.each(rows.map((row, index) => ({ ...row, devices: index + 1 })))(
    'splits Llama-3-70B over $devices of the devices of figure 8 as printed there',
    async ({ problem, expected }) => {
      const { split, objectiveMs, forced } = found(await solvePaper(problem, solveWithHighs))
      expect(split).toEqual({ k: 1, w: expected.w, n: expected.n })
      expect(objectiveMs).toBeCloseTo(expected.objectiveMs, 1)
      expect(forced.map((m) => problem.devices[m]?.name)).toEqual(expected.forced)
      // Its sets are right about this split, so its linear objective is the true cost.
      expect(paperCostMs(problem, split)).toBeCloseTo(objectiveMs, 6)
    },
  )

  it.each(rows.map((row, index) => ({ ...row, devices: index + 1 })))(
    'is no better than the exact minimum of its own cost on $devices devices',
    ({ problem, expected }) => {
      const { split, objectiveMs } = solvePaperExact(problem)
      expect(split.w).toEqual(expected.exact.w)
      expect(split.n).toEqual(expected.exact.n)
      expect(objectiveMs).toBeCloseTo(expected.exact.objectiveMs, 1)
      expect(objectiveMs).toBeLessThanOrEqual(expected.objectiveMs + 0.01)
      expect(paperCostMs(problem, split)).toBeCloseTo(objectiveMs, 6)
    },
  )

  const { laptopFirst, desktopFirst } = readOracle<Llama8b>('llama-3-8b.json')

  it('splits Llama-3-8B 1:1:29:1 with the laptop as head, as the first README of prima.cpp has it', async () => {
    const { problem, expected } = laptopFirst
    expect(firstSplit(problem, publishedRules).w).toEqual(expected.start)
    const { split, objectiveMs, objectiveMsByK } = found(await solvePaper(problem, solveWithHighs))
    expect(split).toEqual({ k: 1, w: expected.w, n: expected.n })
    expect(objectiveMs).toBeCloseTo(expected.objectiveMs, 3)
    const byK = Object.fromEntries([...objectiveMsByK].map(([k, ms]) => [k, Number(ms.toFixed(3))]))
    expect(byK).toEqual(expected.objectiveMsByK)

    const selected = found(await solvePaperWithSelection(problem, solveWithHighs))
    expect(selected.split.w).toEqual(expected.selected.w)
    expect(selected.objectiveMs).toBeCloseTo(expected.selected.objectiveMs, 3)
  })

  it('gives all of Llama-3-8B to the desktop as head, as its README has it now', async () => {
    const { problem, expected } = desktopFirst
    const rules = { ...publishedRules, headPriority: july2025Rules.headPriority }
    expect(found(await solvePaper(problem, solveWithHighs, rules)).split.w).toEqual(expected.w)
    const selected = found(await solvePaperWithSelection(problem, solveWithHighs, rules))
    expect(selected.split).toEqual({ k: 1, w: expected.selected.w, n: expected.selected.n })
    expect(selected.objectiveMs).toBeCloseTo(expected.selected.objectiveMs, 3)
  })

  it('has no answer where the rules of July 2025 start from n = w and every program is infeasible', async () => {
    for (const { problem } of rows.slice(0, 2)) {
      expect(await solvePaper(problem, solveWithHighs, july2025Rules)).toBeNull()
      expect(await solvePaper(problem, solveWithHighs, publishedRules)).not.toBeNull()
    }
  })
})
