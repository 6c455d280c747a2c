/**
 * Figures as Markdown tables.
 *
 * @module
 */
import type { Verdict } from './verdict.ts'

export function verdictTable(verdicts: readonly Verdict[]): string {
  const lines = verdicts.map(({ what, value, bound, limit, holds }) => [
    what,
    value.toFixed(2),
    `${bound} ${limit}`,
    holds ? 'holds' : 'does not hold',
  ])
  return table(['ratio', 'measured', 'target', ''], lines)
}

/** With as many digits as say something; nothing for what was not measured. */
export const figure = (value: number | null | undefined) =>
  value === undefined || value === null ? '' : value < 10 ? value.toFixed(2) : value.toFixed(1)

export function table(head: readonly string[], lines: readonly (readonly (string | number)[])[]): string {
  const rows = [head, head.map(() => '---'), ...lines]
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
