/**
 * Solves the programs of `layer-program.ts` without a solver: only the row 'all' couples devices, so trying every (w, n)
 * of each device and adding devices up one by one finds the minimum.
 *
 * @module
 */
import type { MilpProgram, MilpRow, MilpSolution, MilpSolver } from './milp.ts'

/** What rounding may leave of a row, as HiGHS allows it (primal_feasibility_tolerance). */
const tolerance = 1e-7

export const judgeLayerProgram: MilpSolver = ({ columns, rows }: MilpProgram) => {
  const W = rows.find(({ name }) => name === 'all')?.right ?? 0
  const costs = new Map(columns.map(({ name, cost }) => [name, cost]))
  const count = columns.length / 2
  let best = new Map<number, MilpSolution>([[0, { cost: 0, values: {} }]])
  for (let m = 0; m < count; m++) {
    const next = new Map<number, MilpSolution>()
    for (let w = 1; w <= W; w++) {
      const own = bestGpuLayers(
        rows.filter(({ name }) => name !== 'all' && name.endsWith(`${m}`)),
        costs,
        m,
        w,
      )
      if (own === null) continue
      for (const [sum, partial] of best) {
        const cost = partial.cost + own.cost
        if (sum + w > W || cost >= (next.get(sum + w)?.cost ?? Infinity)) continue
        next.set(sum + w, { cost, values: { ...partial.values, ...own.values } })
      }
    }
    best = next
  }
  return Promise.resolve(best.get(W) ?? null)
}

function bestGpuLayers(
  rows: readonly MilpRow[],
  costs: ReadonlyMap<string, number>,
  m: number,
  w: number,
): MilpSolution | null {
  let best: MilpSolution | null = null
  for (let n = 0; n <= w; n++) {
    const values = { [`w${m}`]: w, [`n${m}`]: n }
    const cost = (costs.get(`w${m}`) ?? 0) * w + (costs.get(`n${m}`) ?? 0) * n
    if (rows.every((row) => holds(row, values)) && cost < (best?.cost ?? Infinity)) best = { cost, values }
  }
  return best
}

function holds({ coefficients, right }: MilpRow, values: Readonly<Record<string, number>>): boolean {
  const left = Object.entries(coefficients).reduce(
    (sum, [name, factor]) => sum + factor * (values[name] ?? 0),
    0,
  )
  return left <= right + tolerance
}
