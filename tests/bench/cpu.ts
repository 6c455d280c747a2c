/**
 * The parts of `npm run bench -- cpu`, each with models made for it and gone after it.
 *
 * @module
 */
import { cpus } from 'node:os'
import { chromium, type Browser } from 'playwright'
import type { Recipe } from '../../packages/engine/src/testing/synth/index.ts'
import { servePages } from '../browser/pages-server.ts'
import { chromiumArgs, chromiumPath } from '../chromium.ts'
import { verdicts } from './acceptance.ts'
import type { Contender } from './contender.ts'
import { compareEngines, type EngineRow } from './engines.ts'
import { installPeers, peerVersions } from './peers.ts'
import { measureRing, type RingRow } from './ring.ts'
import { measureContexts, measureLayers, type ContextRow, type LayersRow } from './scaling.ts'
import { withModel } from './synth-file.ts'
import type { Verdict } from './verdict.ts'

export type BenchChoices = {
  parts: readonly ('engines' | 'layers' | 'context' | 'ring')[]
  types: readonly Recipe[]
  engines: readonly Contender['name'][]
  threads: readonly number[]
  prompts: readonly number[]
  genTokens: number
  rounds: number
  turns: number
}

export type BenchReport = {
  machine: string
  chromium: string
  peers: typeof peerVersions
  engines: EngineRow[]
  layers: LayersRow[]
  context: ContextRow[]
  ring: RingRow[]
  verdicts: Verdict[]
}

const layerCounts = [8, 16, 32]
const contexts = [1, 500, 1000, 2000]
/** A hop costs the same in a small model, and its noise weighs more there. */
const ringLayers = 8

type Log = (line: string) => void

export async function runBench(choices: BenchChoices, log: Log): Promise<BenchReport> {
  const pages = await servePages()
  const browser = await chromium.launch({ executablePath: await chromiumPath(), args: chromiumArgs })
  try {
    const type = choices.types[0]!
    const threads = choices.threads[0]!
    const scaling = { type, threads, genTokens: choices.genTokens, rounds: choices.rounds }
    const has = (part: BenchChoices['parts'][number]) => choices.parts.includes(part)
    const measured = {
      engines: has('engines') ? await measureEngines(browser, pages.url, choices, log) : [],
      layers: has('layers') ? await measureLayers(browser, pages.url, layerCounts, scaling) : [],
      context: has('context')
        ? await withModel(type, {}, (model) => measureContexts(browser, pages.url, model, contexts, scaling))
        : [],
      ring: has('ring')
        ? await withModel(type, { nLayers: ringLayers }, ({ file }) => measureRing(file, { ...choices, log }))
        : [],
    }
    return {
      machine: `${cpus().length} × ${cpus()[0]!.model}, ${process.platform} ${process.arch}`,
      chromium: browser.version(),
      peers: peerVersions,
      ...measured,
      verdicts: verdicts(measured),
    }
  } finally {
    await browser.close()
    await pages.close()
  }
}

async function measureEngines(
  browser: Browser,
  pagesUrl: string,
  choices: BenchChoices,
  log: Log,
): Promise<EngineRow[]> {
  const { nativeMissing } = await installPeers(log)
  if (nativeMissing !== null) log(nativeMissing)
  const engines = choices.engines.filter((name) => name !== 'llama.cpp' || nativeMissing === null)
  const rows: EngineRow[] = []
  for (const type of choices.types) {
    await withModel(type, {}, async (model) => {
      for (const threads of choices.threads) {
        log(`${type}, ${threads === 1 ? 'one thread' : `${threads} threads`}`)
        const setup = { ...model, threads }
        rows.push(...(await compareEngines(browser, pagesUrl, type, setup, { ...choices, engines })))
      }
    })
  }
  return rows
}
