/**
 * Hearth beside wllama and llama.cpp: one file, the same threads, in turns.
 *
 * @module
 */
import type { Browser } from 'playwright'
import { median } from '../../packages/engine/src/median.ts'
import type { Recipe } from '../../packages/engine/src/testing/synth/index.ts'
import type { Contender, Setup } from './contender.ts'
import { openHearth } from './hearth.ts'
import { openLlamaCpp } from './llama-cpp.ts'
import { openWllama } from './wllama.ts'

export type EngineRow = {
  type: Recipe
  threads: number
  engine: Contender['name']
  detail: string
  msPerToken: number
  decodeTokensPerSec: number
  /** By number of prompt tokens. */
  prefillTokensPerSec: Record<string, number>
  roofline?: { weightBytesPerToken: number; readBytesPerSec: number; share: number }
}

export type EngineOptions = {
  engines: readonly Contender['name'][]
  prompts: readonly number[]
  genTokens: number
  rounds: number
}

/** An engine that takes longer than this for its part of a round is asked in the first round only. */
const slowMs = 15_000

const open: Record<
  Contender['name'],
  (browser: Browser, pagesUrl: string, setup: Setup) => Promise<Contender>
> = {
  hearth: openHearth,
  wllama: openWllama,
  'llama.cpp': (_browser, _pagesUrl, setup) => openLlamaCpp(setup),
}

export async function compareEngines(
  browser: Browser,
  pagesUrl: string,
  type: Recipe,
  setup: Setup,
  { engines, prompts, genTokens, rounds }: EngineOptions,
): Promise<EngineRow[]> {
  const contenders: Contender[] = []
  try {
    for (const name of engines) contenders.push(await open[name](browser, pagesUrl, setup))
    const records = contenders.map((contender) => ({ contender, ...nothingYet(), tookMs: 0 }))
    for (let round = 0; round < rounds; round++) {
      for (const record of records) {
        if (record.tookMs > slowMs) continue
        const startMs = performance.now()
        for (const prompt of prompts) await measure(record, prompt, prompt === prompts[0] ? genTokens : 0)
        record.tookMs = performance.now() - startMs
      }
    }
    return records.map(({ contender, ...record }) => rowOf(type, setup.threads, contender, record))
  } finally {
    for (const contender of contenders) await contender.close()
  }
}

type Measured = {
  tokenMs: number[]
  prefillMs: Map<number, number[]>
  readBytesPerSec: number[]
  weightBytesPerToken: number
}

const nothingYet = (): Measured => ({
  tokenMs: [],
  prefillMs: new Map(),
  readBytesPerSec: [],
  weightBytesPerToken: 0,
})

async function measure(
  record: Measured & { contender: Contender },
  promptTokens: number,
  genTokens: number,
): Promise<void> {
  const { contender, prefillMs, tokenMs, readBytesPerSec } = record
  const times = await contender.answer(promptTokens, genTokens)
  prefillMs.set(promptTokens, [...(prefillMs.get(promptTokens) ?? []), times.prefillMs])
  tokenMs.push(...times.tokenMs)
  const roofline = await contender.roofline?.()
  if (!roofline) return
  readBytesPerSec.push(roofline.readBytesPerSec)
  record.weightBytesPerToken = roofline.weightBytesPerToken
}

function rowOf(type: Recipe, threads: number, { name, detail }: Contender, record: Measured): EngineRow {
  const msPerToken = median(record.tokenMs)
  const perSec = Array.from(record.prefillMs, ([tokens, ms]) => [tokens, (1000 * tokens) / median(ms)])
  const row = {
    type,
    threads,
    engine: name,
    detail,
    msPerToken,
    decodeTokensPerSec: 1000 / msPerToken,
    prefillTokensPerSec: Object.fromEntries(perSec) as Record<string, number>,
  }
  if (record.readBytesPerSec.length === 0) return row
  const readBytesPerSec = median(record.readBytesPerSec)
  const { weightBytesPerToken } = record
  const share = (1000 * weightBytesPerToken) / readBytesPerSec / msPerToken
  return { ...row, roofline: { weightBytesPerToken, readBytesPerSec, share } }
}
