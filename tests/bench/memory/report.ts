/**
 * Figures as Markdown tables, for people and for packages/engine/README.md.
 *
 * @module
 */
import { figure, table, verdictTable } from '../tables.ts'
import type { DraftsRow } from './drafts.ts'
import type { LargeRow } from './large.ts'
import type { MemoryReport } from './memory.ts'
import type { MmapReport } from './mmap.ts'
import type { MovingBudget } from './moving-budget.ts'
import type { SessionsRow } from './sessions.ts'
import { boundMs, type StreamRow } from './streaming.ts'

export function memoryText(report: MemoryReport): string {
  const { machine, chromium, ablation, bound, sessions, drafts, large, mmap, budget, verdicts } = report
  const parts = [
    ablation.length > 0 && streamTable(ablation),
    bound.length > 0 && streamTable(bound),
    sessions.length > 0 && sessionsTable(sessions),
    drafts.length > 0 && draftsTable(drafts),
    large.length > 0 && largeTable(large),
    mmapText(mmap),
    budget && budgetText(budget),
    verdictTable(verdicts),
  ]
  return [`${machine}, Chromium ${chromium}`, ...parts.filter(Boolean)].join('\n\n')
}

function streamTable(rows: readonly StreamRow[]): string {
  const lines = rows.map((row) => [
    row.tabs,
    row.variant,
    row.rounds,
    perSec(row.diskBytesPerSec),
    figure(row.tpotMs),
    figure(row.computeMs),
    row.variant === 'pinned' ? '' : figure(row.readMsPerToken),
    row.variant === 'pinned' ? '' : (row.tpotMs / boundMs(row)).toFixed(2),
    megabytes(row.streamedBytesPerToken),
    figure(row.waitedMsPerToken),
    percent(row.hiddenShare),
    percent(row.coldShare),
    percent(row.peakShare),
  ])
  return table(
    [
      'tabs',
      '',
      'k',
      'disk cap',
      'ms per token',
      'computing',
      'reading',
      '÷ longer',
      'streamed per token',
      'waited, ms',
      'hidden',
      'from disk',
      'peak ÷ budget',
    ],
    lines,
  )
}

function sessionsTable(rows: readonly SessionsRow[]): string {
  const lines = rows.map((row) => [
    row.tabs,
    row.rounds,
    row.conversations,
    perSec(row.diskBytesPerSec),
    figure(row.tpotMs),
    row.tokensPerSec.toFixed(2),
    megabytes(row.streamedBytesPerToken),
    percent(row.peakShare),
    row.sameText ? 'yes' : 'no',
  ])
  return table(
    [
      'tabs',
      'k',
      'at once',
      'disk cap',
      'ms per token of each',
      'tokens/s together',
      'streamed per token',
      'peak ÷ budget',
      'same words',
    ],
    lines,
  )
}

function draftsTable(rows: readonly DraftsRow[]): string {
  const lines = rows.map((row) => [
    row.answer,
    row.diskBytesPerSec === null ? 'pinned' : perSec(row.diskBytesPerSec),
    figure(row.aloneTpotMs),
    figure(row.tpotMs),
    (row.aloneTpotMs / row.tpotMs).toFixed(2),
    row.draftedTokens,
    row.acceptedTokens,
    row.outputTokens,
    row.sameText ? 'yes' : 'no',
  ])
  return table(
    [
      'answer',
      'disk cap',
      'ms per token without guesses',
      'with',
      '÷',
      'guessed',
      'came true',
      'tokens',
      'same words',
    ],
    lines,
  )
}

function largeTable(rows: readonly LargeRow[]): string {
  const lines = rows.map((row) => [
    row.model,
    `${row.tabs} × ${megabytes(row.budgetBytes)}`,
    megabytes(row.weightBytes),
    megabytes(row.promptStreamedBytes),
    megabytes(row.streamedBytesPerToken),
    (row.loadMs / 1000).toFixed(0),
    figure(row.ttftMs),
    figure(row.tpotMs),
    figure(row.pinnedTpotMs),
    row.sameText === null ? '' : row.sameText ? 'yes' : 'no',
    percent(row.peakShare),
    megabytes(row.browserBytes),
    percent(row.pressure),
    `${figure(row.lateness.medianMs)} / ${figure(row.lateness.worstMs)}`,
  ])
  return table(
    [
      'model',
      'tabs',
      'weights',
      'streamed for the prompt',
      'streamed per token',
      'loading, s',
      'TTFT, ms',
      'ms per token',
      'pinned',
      'same words',
      'peak ÷ budget',
      'browser beside',
      'pressure',
      'timer late, ms',
    ],
    lines,
  )
}

function mmapText({ rows, missing }: MmapReport): string {
  if (missing !== null) return `No comparison with llama.cpp: ${missing}`
  if (rows.length === 0) return ''
  const lines = rows.map((row) => [
    row.type,
    row.times === null ? 'no cap' : `1 / ${row.times} of the weights`,
    megabytes(row.weightsBytes),
    perSec(row.diskBytesPerSec),
    figure(row.hearthTpotMs),
    row.llamaTpotMs === null ? 'killed' : figure(row.llamaTpotMs),
    row.llamaTpotMs === null ? '' : (row.llamaTpotMs / row.hearthTpotMs).toFixed(2),
    megabytes(row.hearthStreamedBytes),
    perSec(row.hearthReadBytesPerSec),
    megabytes(row.hearthOwnBytes),
    megabytes(row.llamaOwnBytes),
  ])
  return table(
    [
      'weights',
      'memory for weights and page cache',
      '',
      'disk cap',
      'Hearth, ms per token',
      'llama.cpp',
      '÷',
      'Hearth streams per token',
      'while reading',
      'Hearth beside weights',
      'llama.cpp beside weights',
    ],
    lines,
  )
}

const budgetText = ({ tokens, moves, sameText, memoryShare, realShare }: MovingBudget) =>
  `${tokens} tokens during ${moves} moves of the budgets: ${sameText ? 'the same words' : 'OTHER WORDS'}; ` +
  `engine memory after ÷ before ${memoryShare.toFixed(3)}` +
  (realShare === null ? '' : `, browsers ${realShare.toFixed(3)}`)

const megabytes = (bytes: number | null) => (bytes === null ? '' : `${Math.round(bytes / 1e6)} MB`)
const perSec = (bytes: number | null) => (bytes === null ? '' : `${megabytes(bytes)}/s`)
const percent = (share: number | null) => (share === null ? '' : `${Math.round(100 * share)} %`)
