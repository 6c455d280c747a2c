/**
 * What CPU devices must reach, as ratios within one run.
 *
 * @module
 */
import type { EngineRow } from './engines.ts'
import type { RingRow } from './ring.ts'
import type { ContextRow, LayersRow } from './scaling.ts'
import { atLeast, atMost, type Verdict } from './verdict.ts'

type Target = {
  what: string
  against: EngineRow['engine']
  of: (row: EngineRow) => number | undefined
  least: (type: EngineRow['type']) => number | undefined
}

const decode = (row: EngineRow) => row.decodeTokensPerSec
const prefill512 = (row: EngineRow) => row.prefillTokensPerSec['512']

const targets: readonly Target[] = [
  {
    what: 'decode ÷ wllama',
    against: 'wllama',
    of: decode,
    least: (type) => ({ Q4_0: 5, Q4_K_M: 4 })[type as string],
  },
  {
    what: 'decode ÷ llama.cpp',
    against: 'llama.cpp',
    of: decode,
    least: (type) => ({ Q4_0: 0.9, Q4_K_M: 0.9, Q8_0: 0.7 })[type as string],
  },
  { what: 'prefill of 512 ÷ wllama', against: 'wllama', of: prefill512, least: () => 10 },
  { what: 'prefill of 512 ÷ llama.cpp', against: 'llama.cpp', of: prefill512, least: () => 0.4 },
]

const leastRooflineShare = 0.7
const mostMsPerHop = 1.5
const tolerance = 0.1

export type Measured = {
  engines: readonly EngineRow[]
  layers: readonly LayersRow[]
  context: readonly ContextRow[]
  ring: readonly RingRow[]
}

/** A verdict on everything that was measured, and on nothing else. */
export function verdicts({ engines, layers, context, ring }: Measured): Verdict[] {
  return [
    ...engines.filter(({ engine }) => engine === 'hearth').flatMap((row) => judgeRow(row, engines)),
    ...judgeLayers(layers),
    ...judgeContext(context),
    ...ring.flatMap(({ cores, rounds, msPerHop }) =>
      msPerHop === null
        ? []
        : [atMost(`ms per hop, k = ${rounds}, ${cores} cores`, msPerHop.median, mostMsPerHop)],
    ),
  ]
}

function judgeRow(row: EngineRow, rows: readonly EngineRow[]): Verdict[] {
  const where = `${row.type}, ${row.threads === 1 ? 'one thread' : `${row.threads} threads`}`
  const ratios = targets.flatMap(({ what, against, of, least }) => {
    const other = rows.find((r) => r.engine === against && r.type === row.type && r.threads === row.threads)
    const [mine, theirs, limit] = [of(row), other && of(other), least(row.type)]
    if (mine === undefined || theirs === undefined || limit === undefined) return []
    return [atLeast(`${what}: ${where}`, mine / theirs, limit)]
  })
  const { roofline } = row
  if (!roofline) return ratios
  return [...ratios, atLeast(`share of the roofline: ${where}`, roofline.share, leastRooflineShare)]
}

/** From the first two numbers of layers it follows what the others must take. */
function judgeLayers(rows: readonly LayersRow[]): Verdict[] {
  const [first, second, ...others] = rows
  if (!first || !second) return []
  const perLayer = (second.msPerToken - first.msPerToken) / (second.layers - first.layers)
  return others.map(({ layers, msPerToken }) => {
    const expectedMs = second.msPerToken + (layers - second.layers) * perLayer
    return atMost(`ms with ${layers} layers ÷ what is linear`, msPerToken / expectedMs, 1 + tolerance)
  })
}

/** Beside attention, a token behind many others costs what the first one costs. */
function judgeContext(rows: readonly ContextRow[]): Verdict[] {
  const [first, ...others] = rows.map((row) => ({ ...row, restMs: row.msPerToken - row.attentionMs }))
  return others.map(({ context, restMs }) =>
    atMost(`ms beside attention behind ${context} tokens ÷ behind 1`, restMs / first!.restMs, 1 + tolerance),
  )
}
