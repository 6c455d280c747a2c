/**
 * An engine in the comparison, with a model loaded.
 *
 * Implementations: `hearth.ts` and `wllama.ts` (in Chromium), `llama-cpp.ts` (native).
 *
 * @module
 */
import type { AnswerTimes } from '../../packages/engine/src/node/measure-speed.ts'

export type { AnswerTimes }

export interface Contender {
  readonly name: 'hearth' | 'wllama' | 'llama.cpp'
  /** What computes, in the engine's own words. */
  readonly detail: string
  /** A prompt of `promptTokens` read from nothing, then `genTokens` tokens after the first. */
  answer(promptTokens: number, genTokens: number): Promise<AnswerTimes>
  /** Bytes that one token's products go through, and their rate when only read; where the engine can tell. */
  roofline?(): Promise<{ weightBytesPerToken: number; readBytesPerSec: number }>
  close(): Promise<void>
}

export type Setup = { file: string; url: string; threads: number }
