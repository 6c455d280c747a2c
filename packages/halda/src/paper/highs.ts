/**
 * HiGHS, compiled to WebAssembly (npm `highs`), as a {@link MilpSolver}. Its 3.5 MB are loaded at the first program and
 * never by a page: only the baselines of this folder solve programs, and only the command line and tests run them.
 *
 * @module
 */
import type HighsLoader from 'highs'
import type { MilpProgram, MilpSolver } from './milp.ts'

export const solveWithHighs: MilpSolver = async (program) => {
  const { default: loadHighs } = await import('highs')
  const highs = await (loaded ??= loadHighs())
  const { Status, Columns, ObjectiveValue } = highs.solve(toLpFormat(program), {
    // The default stops within 0.01 % of the minimum.
    mip_rel_gap: 0,
    mip_abs_gap: 0,
    output_flag: false,
  })
  // Presolve may not tell the two apart; no program here is unbounded.
  if (Status === 'Infeasible' || Status === 'Primal infeasible or unbounded') return null
  if (Status !== 'Optimal') throw new Error(`HiGHS answers: ${Status}`)
  const values: Record<string, number> = {}
  for (const { name, isInteger } of program.columns) {
    // A column that no row and no cost names is not in the text.
    const value = Columns[name]?.Primal ?? 0
    values[name] = isInteger ? Math.round(value) : value
  }
  return { cost: ObjectiveValue, values }
}

let loaded: ReturnType<typeof HighsLoader> | undefined

/** CPLEX's LP format, which HiGHS reads. */
function toLpFormat({ columns, rows }: MilpProgram): string {
  const sum = (terms: readonly (readonly [string, number])[]) =>
    terms
      .filter(([, factor]) => factor !== 0)
      .map(([name, factor]) => `${factor < 0 ? '-' : '+'} ${Math.abs(factor)} ${name}`)
      .join(' ')
  const bound = (value: number) => (value === Infinity ? '+inf' : `${value}`)
  return [
    'Minimize',
    ` cost: ${sum(columns.map(({ name, cost }) => [name, cost]))}`,
    'Subject To',
    ...rows.map(
      ({ name, coefficients, is, right }) => ` ${name}: ${sum(Object.entries(coefficients))} ${is} ${right}`,
    ),
    'Bounds',
    ...columns.map(({ name, lower, upper }) => ` ${bound(lower)} <= ${name} <= ${bound(upper)}`),
    'General',
    ` ${columns
      .filter(({ isInteger }) => isInteger)
      .map(({ name }) => name)
      .join(' ')}`,
    'End',
  ].join('\n')
}
