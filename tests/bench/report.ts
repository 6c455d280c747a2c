/**
 * Figures as Markdown tables, for people and for packages/engine/README.md.
 *
 * @module
 */
import type { BenchReport } from './cpu.ts'
import type { EngineRow } from './engines.ts'
import { figure, table, verdictTable } from './tables.ts'

export function reportText({
  machine,
  chromium,
  engines,
  layers,
  context,
  ring,
  verdicts,
}: BenchReport): string {
  const layerLines = layers.map((row) => [row.type, row.threads, row.layers, figure(row.msPerToken)])
  const contextLines = context.map((row) => [
    row.type,
    row.threads,
    row.context,
    figure(row.msPerToken),
    figure(row.attentionMs),
  ])
  const ringLines = ring.map((row) => [
    row.cores,
    row.tabs,
    row.rounds,
    row.hopsPerToken,
    figure(row.tpotMs),
    row.msPerHop?.median.toFixed(2) ?? '',
    row.msPerHop
      ? `${row.msPerHop.lowerQuartile.toFixed(2)} to ${row.msPerHop.upperQuartile.toFixed(2)}`
      : '',
  ])
  const tables = [
    engines.length > 0 && engineTable(engines),
    layers.length > 0 && table(['weights', 'threads', 'layers', 'ms per token'], layerLines),
    context.length > 0 &&
      table(['weights', 'threads', 'context', 'ms per token', 'of it attention'], contextLines),
    ring.length > 0 &&
      table(
        ['cores', 'tabs', 'k', 'hops per token', 'ms per token', 'ms per hop', 'half of all turns'],
        ringLines,
      ),
    verdictTable(verdicts),
  ]
  return [`${machine}, Chromium ${chromium}`, ...tables.filter(Boolean)].join('\n\n')
}

function engineTable(rows: readonly EngineRow[]): string {
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
