/**
 * The parts of `npm run bench -- memory`.
 *
 * @module
 */
import { cpus, totalmem } from 'node:os'
import { chromium } from 'playwright'
import { chromiumArgs, chromiumPath } from '../../chromium.ts'
import { peerVersions } from '../peers.ts'
import type { Verdict } from '../verdict.ts'
import { verdicts } from './acceptance.ts'
import { measureDrafts, type DraftsCase, type DraftsRow } from './drafts.ts'
import { diskShortage, measureLarge, type LargeCase, type LargeRow } from './large.ts'
import { measureMmap, type MmapReport } from './mmap.ts'
import { measureMovingBudget, type MovingBudget } from './moving-budget.ts'
import type { Log } from './room.ts'
import { measureSessions, type SessionsCase, type SessionsRow } from './sessions.ts'
import { measureStreaming, type StreamCase, type StreamRow } from './streaming.ts'

export const memoryParts = ['ablation', 'bound', 'sessions', 'drafts', 'large', 'mmap', 'budget'] as const
export const largeModels = ['8b', '32b', '70b'] as const

export type MemoryChoices = {
  parts: readonly (typeof memoryParts)[number][]
  large: readonly (typeof largeModels)[number][]
  /** How many, in the ablation. */
  tabs: readonly number[]
  genTokens: number
}

export type MemoryReport = {
  machine: string
  chromium: string
  peers: typeof peerVersions
  ablation: StreamRow[]
  bound: StreamRow[]
  sessions: SessionsRow[]
  drafts: DraftsRow[]
  large: LargeRow[]
  mmap: MmapReport
  budget: MovingBudget | null
  verdicts: Verdict[]
}

/** Memory for six tenths. Disks so slow that their caps decide, and not the one disk that all tabs here share. */
const short: readonly StreamCase[] = [
  { tabs: 2, share: 0.6, disk: [{ bytesPerSec: 400e6 }], rounds: [1, 2, 4, 8], turns: 1 },
  { tabs: 4, share: 0.6, disk: [{ bytesPerSec: 200e6 }], rounds: [1, 2, 4, 8], turns: 1 },
]
/** Nearly everything fits, so that reading can be as short as computing. */
const nearly: StreamCase = {
  tabs: 2,
  share: 0.985,
  disk: [{ ratio: 0.5 }, { ratio: 1 }, { ratio: 2 }],
  rounds: [1, 4],
  turns: 5,
}
const several: SessionsCase = {
  tabs: 2,
  share: 0.6,
  diskBytesPerSec: 400e6,
  rounds: [1, 4],
  conversations: [1, 2, 4, 8],
}
const guessing: DraftsCase = {
  tabs: 2,
  share: 0.6,
  diskBytesPerSec: 400e6,
  turns: 3,
}
const guessedTokens = 32
const largeCases: Record<(typeof largeModels)[number], LargeCase> = {
  '8b': { model: 'synth:llama-3-8b:Q4_K_M', tabs: 2, budgetBytes: 1e9, genTokens: 12, beside: true },
  '32b': { model: 'synth:qwen2.5-32b:Q4_K_M', tabs: 4, budgetBytes: 2e9, genTokens: 8, beside: false },
  '70b': { model: 'synth:llama-3-70b:Q4_K_M', tabs: 4, budgetBytes: 3.5e9, genTokens: 8, beside: false },
}
const movingTokens = 200

export async function runMemoryBench(choices: MemoryChoices, log: Log): Promise<MemoryReport> {
  const { genTokens } = choices
  const has = (part: MemoryChoices['parts'][number]) => choices.parts.includes(part)
  const large: LargeRow[] = []
  const measured = {
    ablation: has('ablation')
      ? await measureStreaming(
          short.filter(({ tabs }) => choices.tabs.includes(tabs)),
          { genTokens, log },
        )
      : [],
    bound: has('bound') ? await measureStreaming([nearly], { genTokens, log }) : [],
    sessions: has('sessions') ? await measureSessions(several, { genTokens, log }) : [],
    drafts: has('drafts') ? await measureDrafts(guessing, { genTokens: guessedTokens, log }) : [],
    large,
    mmap: has('mmap')
      ? await measureMmap({
          type: 'Q8_0',
          times: [1.5, 3],
          disksBytesPerSec: [400e6, Infinity],
          threads: 2,
          genTokens,
          log,
        })
      : { rows: [], missing: null },
    budget: has('budget') ? await measureMovingBudget(movingTokens, log) : null,
  }
  if (has('large')) {
    for (const name of choices.large) {
      const shortage = await diskShortage(largeCases[name])
      if (shortage === null) large.push(await measureLarge(largeCases[name], log))
      else log(shortage)
    }
  }
  return {
    machine: `${cpus().length} × ${cpus()[0]!.model}, ${Math.round(totalmem() / 1e9)} GB, ${process.platform} ${process.arch}`,
    chromium: await chromiumVersion(),
    peers: peerVersions,
    ...measured,
    verdicts: verdicts(measured),
  }
}

async function chromiumVersion(): Promise<string> {
  const browser = await chromium.launch({ executablePath: await chromiumPath(), args: chromiumArgs })
  try {
    return browser.version()
  } finally {
    await browser.close()
  }
}
