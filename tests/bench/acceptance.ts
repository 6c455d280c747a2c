/**
 * What CPU devices must reach, as ratios within one run.
 *
 * @module
 */
import type { EngineRow } from './engines.ts'

export type Verdict = { what: string; ratio: number; atLeast: number; holds: boolean }

type Target = {
  what: string
  against: EngineRow['engine']
  of: (row: EngineRow) => number | undefined
  atLeast: (type: EngineRow['type']) => number | undefined
}

const decode = (row: EngineRow) => row.decodeTokensPerSec
const prefill512 = (row: EngineRow) => row.prefillTokensPerSec['512']

const targets: readonly Target[] = [
  {
    what: 'decode ÷ wllama',
    against: 'wllama',
    of: decode,
    atLeast: (type) => ({ Q4_0: 5, Q4_K_M: 4 })[type as string],
  },
  {
    what: 'decode ÷ llama.cpp',
    against: 'llama.cpp',
    of: decode,
    atLeast: (type) => ({ Q4_0: 0.9, Q4_K_M: 0.9, Q8_0: 0.7 })[type as string],
  },
  { what: 'prefill of 512 ÷ wllama', against: 'wllama', of: prefill512, atLeast: () => 10 },
  { what: 'prefill of 512 ÷ llama.cpp', against: 'llama.cpp', of: prefill512, atLeast: () => 0.4 },
]

const leastRooflineShare = 0.7

/** One verdict for each target and each row of Hearth's that has what it needs. */
export function verdicts(rows: readonly EngineRow[]): Verdict[] {
  return rows
    .filter(({ engine }) => engine === 'hearth')
    .flatMap((row) => {
      const where = `${row.type}, ${row.threads === 1 ? 'one thread' : `${row.threads} threads`}`
      const ratios = targets.flatMap(({ what, against, of, atLeast }) => {
        const other = rows.find(
          (r) => r.engine === against && r.type === row.type && r.threads === row.threads,
        )
        const [mine, theirs, least] = [of(row), other && of(other), atLeast(row.type)]
        if (mine === undefined || theirs === undefined || least === undefined) return []
        return [verdict(`${what}: ${where}`, mine / theirs, least)]
      })
      const { roofline } = row
      return roofline
        ? [...ratios, verdict(`share of the roofline: ${where}`, roofline.share, leastRooflineShare)]
        : ratios
    })
}

const verdict = (what: string, ratio: number, atLeast: number): Verdict => ({
  what,
  ratio,
  atLeast,
  holds: ratio >= atLeast,
})
