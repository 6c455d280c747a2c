/**
 * What a token costs with more layers and with more context.
 *
 * @module
 */
import type { Browser } from 'playwright'
import { median } from '../../packages/engine/src/median.ts'
import type { Recipe } from '../../packages/engine/src/testing/synth/index.ts'
import { openHearth, type HearthContender } from './hearth.ts'
import { withModel } from './synth-file.ts'

export type LayersRow = { type: Recipe; threads: number; layers: number; msPerToken: number }
export type ContextRow = {
  type: Recipe
  threads: number
  context: number
  msPerToken: number
  /** Of it, in attention. */
  attentionMs: number
}

export type ScalingOptions = { type: Recipe; threads: number; genTokens: number; rounds: number }

const promptTokens = 8

/** One tab for each number of layers, in turns. */
export async function measureLayers(
  browser: Browser,
  pagesUrl: string,
  layerCounts: readonly number[],
  { type, threads, genTokens, rounds }: ScalingOptions,
): Promise<LayersRow[]> {
  const tabs: { layers: number; hearth: HearthContender; tokenMs: number[] }[] = []
  try {
    for (const layers of layerCounts) {
      const hearth = await withModel(type, { nLayers: layers }, (model) =>
        openHearth(browser, pagesUrl, { ...model, threads }),
      )
      tabs.push({ layers, hearth, tokenMs: [] })
    }
    for (let round = 0; round < rounds; round++) {
      for (const { hearth, tokenMs } of tabs) {
        tokenMs.push(...(await hearth.answer(promptTokens, genTokens)).tokenMs)
      }
    }
    return tabs.map(({ layers, tokenMs }) => ({ type, threads, layers, msPerToken: median(tokenMs) }))
  } finally {
    for (const { hearth } of tabs) await hearth.close()
  }
}

/** One tab with a session for each context, in turns. */
export async function measureContexts(
  browser: Browser,
  pagesUrl: string,
  setup: { file: string; url: string },
  contexts: readonly number[],
  { type, threads, genTokens, rounds }: ScalingOptions,
): Promise<ContextRow[]> {
  const hearth = await openHearth(browser, pagesUrl, { ...setup, threads })
  try {
    const records = contexts.map((context) => ({
      context,
      tokenMs: [] as number[],
      attentionMs: [] as number[],
    }))
    for (let round = 0; round < rounds; round++) {
      for (const { context, tokenMs, attentionMs } of records) {
        const times = await hearth.decodeBehind(context, genTokens)
        tokenMs.push(...times.tokenMs)
        attentionMs.push(times.attentionMsPerToken)
      }
    }
    return records.map(({ context, tokenMs, attentionMs }) => ({
      type,
      threads,
      context,
      msPerToken: median(tokenMs),
      attentionMs: median(attentionMs),
    }))
  } finally {
    await hearth.close()
  }
}
