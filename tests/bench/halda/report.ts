/**
 * Figures as Markdown tables, for people and for packages/halda/README.md.
 *
 * @module
 */
import { figure, table } from '../tables.ts'
import { median } from '../../../packages/engine/src/median.ts'
import type { PredictionRow } from './predictions.ts'
import type { Rivalry } from './rivals.ts'
import type { SolverTime } from './solver-times.ts'

export type HaldaReport = {
  solver: SolverTime[]
  rivals: Rivalry[]
  predicted: PredictionRow[]
  rounds: PredictionRow[]
}

export function haldaText({ solver, rivals, predicted, rounds }: HaldaReport): string {
  const parts = [
    solver.length > 0 && solverTable(solver),
    rivals.length > 0 && rivalTable(rivals),
    predicted.length > 0 && `${predictionTable(predicted)}\n\nMedian error ${medianError(predicted)} %`,
    rounds.length > 0 && predictionTable(rounds),
  ]
  return parts.filter(Boolean).join('\n\n')
}

const solverTable = (rows: readonly SolverTime[]): string =>
  table(
    [
      'devices',
      'layers',
      'memory',
      'processor ms, median',
      'slowest',
      'elapsed ms, median',
      'slowest',
      'later, median',
      'slowest',
      'k',
    ],
    rows.map((row) => [
      row.devices,
      row.layers,
      row.memory,
      figure(row.processorMs.median),
      figure(row.processorMs.most),
      figure(row.elapsedMs.median),
      figure(row.elapsedMs.most),
      figure(row.laterElapsedMs.median),
      figure(row.laterElapsedMs.most),
      row.mostRounds,
    ]),
  )

const rivalTable = (rows: readonly Rivalry[]): string =>
  table(
    ['rule', 'clusters', 'does not fit', 'slower', 'by, median', '90th percentile', 'as fast', 'faster'],
    rows.map((row) => [
      row.baseline,
      row.clusters,
      row.doesNotFit,
      row.slower,
      `${figure(row.medianExtraPercent)} %`,
      `${figure(row.p90ExtraPercent)} %`,
      row.asFast,
      row.faster,
    ]),
  )

const predictionTable = (rows: readonly PredictionRow[]): string =>
  table(
    [
      'case',
      'tabs',
      'layers',
      'k',
      'streamed',
      'predicted ms',
      'measured ms',
      'error',
      'compute',
      'output',
      'hops',
      'waits',
    ],
    rows.map((row) => [
      row.case,
      row.tabs,
      row.layers,
      row.rounds,
      row.streamed,
      figure(row.predictedMs),
      figure(row.measuredMs),
      `${(100 * row.error).toFixed(0)} %`,
      figure(row.computeMs),
      figure(row.outputMs),
      figure(row.hopMs),
      figure(row.waitMs),
    ]),
  )

const medianError = (rows: readonly PredictionRow[]): string =>
  (100 * median(rows.map(({ error }) => Math.abs(error)))).toFixed(1)
