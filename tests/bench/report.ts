/**
 * Figures as Markdown tables, for people and for packages/engine/README.md.
 *
 * @module
 */
import type { Verdict } from './acceptance.ts'
import type { EngineRow } from './engines.ts'

export function engineTable(rows: readonly EngineRow[]): string {
  const prompts = [...new Set(rows.flatMap((row) => Object.keys(row.prefillTokensPerSec)))]
  const lines = rows.map(
    ({ type, threads, engine, decodeTokensPerSec, msPerToken, prefillTokensPerSec, roofline }) => [
      type,
      threads,
      engine,
      figure(decodeTokensPerSec),
      figure(msPerToken),
      ...prompts.map((prompt) => figure(prefillTokensPerSec[prompt])),
      roofline
        ? `${Math.round(100 * roofline.share)} % of ${(roofline.readBytesPerSec / 1e9).toFixed(1)} GB/s`
        : '',
    ],
  )
  const prefills = prompts.map((prompt) => `prefill of ${prompt}, tokens/s`)
  return table(
    ['weights', 'threads', 'engine', 'decode, tokens/s', 'ms per token', ...prefills, 'roofline'],
    lines,
  )
}

export function verdictTable(verdicts: readonly Verdict[]): string {
  const lines = verdicts.map(({ what, ratio, atLeast, holds }) => [
    what,
    ratio.toFixed(2),
    atLeast,
    holds ? 'holds' : 'does not hold',
  ])
  return table(['ratio', 'measured', 'at least', ''], lines)
}

const figure = (value: number | undefined) =>
  value === undefined ? '' : value < 10 ? value.toFixed(2) : value.toFixed(1)

function table(head: readonly string[], lines: readonly (readonly (string | number)[])[]): string {
  const rows = [head, head.map(() => '---'), ...lines]
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
