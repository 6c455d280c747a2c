/**
 * Speed and memory of a model on this machine, beside the limit that memory sets.
 *
 * @module
 */
import { memoryUsage } from 'node:process'
import { median } from '../../median.ts'
import { createTokenizer } from '../../model/tokenizer.ts'
import { readArguments, readInteger, UsageError, type Command } from '../arguments.ts'
import { createFileSource } from '../file-source.ts'
import { loadModel, type LoadedModel } from '../load-model.ts'
import {
  benchPrompt,
  bytesByType,
  memoryUse,
  timeAnswer,
  timeRead,
  weightBytesPerToken,
  type MemoryUse,
} from '../measure-speed.ts'
import { openWasmBackend, readThreads } from '../open-backend.ts'

/** Bytes are of packed weights and of memory; tokens per second and milliseconds are medians. */
export type BenchFigures = {
  file: string
  compute: string
  weightTypes: Record<string, number>
  promptTokens: number
  genTokens: number
  prefillTokensPerSec: number
  decodeTokensPerSec: number
  msPerToken: number
  weightBytesPerToken: number
  readBytesPerSec: number
  /** Least time of a token: its weights, only read. */
  rooflineMs: number
  rooflineShare: number
  /** Resident is what the process has grown by, once kernels and threads were there. */
  memory: MemoryUse & { residentBytes: number }
}

export const bench: Command = {
  usage: `  bench FILE [--threads N] [--prompt-tokens 57] [--gen 32] [--rounds 3] [--json]
      Tokens per second, the share of what memory allows, and memory`,

  async execute(args, { out }) {
    const { file, values } = readArguments(args, {
      threads: 'text',
      'prompt-tokens': 'text',
      gen: 'text',
      rounds: 'text',
      json: 'flag',
    })
    const bounds = { min: 1, max: 100_000 }
    const promptTokens = readInteger('prompt-tokens', values['prompt-tokens'], { absent: 57, ...bounds })
    const genTokens = readInteger('gen', values.gen, { absent: 32, ...bounds })
    const rounds = readInteger('rounds', values.rounds, { absent: 3, min: 1, max: 100 })
    const backend = await openWasmBackend(readThreads(values.threads))
    const residentBefore = memoryUsage.rss()
    try {
      const model = await loadModel(createFileSource(file), backend)
      const prompt = promptOf(model, promptTokens, genTokens)
      const prefillMs: number[] = []
      const tokenMs: number[] = []
      const readBytesPerSec: number[] = []
      for (let round = 0; round < rounds; round++) {
        const times = await timeAnswer(model, prompt, genTokens)
        prefillMs.push(times.prefillMs)
        tokenMs.push(...times.tokenMs)
        readBytesPerSec.push(timeRead(backend, model))
      }
      const msPerToken = median(tokenMs)
      const rooflineMs = (1000 * weightBytesPerToken(model)) / median(readBytesPerSec)
      const figures: BenchFigures = {
        file,
        compute: backend.detail,
        weightTypes: bytesByType(model),
        promptTokens,
        genTokens,
        prefillTokensPerSec: (1000 * promptTokens) / median(prefillMs),
        decodeTokensPerSec: 1000 / msPerToken,
        msPerToken,
        weightBytesPerToken: weightBytesPerToken(model),
        readBytesPerSec: median(readBytesPerSec),
        rooflineMs,
        rooflineShare: rooflineMs / msPerToken,
        memory: { ...memoryUse(backend, model), residentBytes: memoryUsage.rss() - residentBefore },
      }
      out(values.json ? `${JSON.stringify(figures)}\n` : say(figures))
    } finally {
      backend.close()
    }
  },
}

/** @returns as many tokens as asked for, whatever the vocabulary makes of letters */
function promptOf({ header, config }: LoadedModel, count: number, genTokens: number): number[] {
  if (count + genTokens >= config.contextLength) {
    throw new UsageError(`This model reads ${config.contextLength} tokens at most, the answer included.`)
  }
  const tokens = createTokenizer(header).encode(benchPrompt(4 * count), { special: false })
  return Array.from({ length: count }, (_, i) => tokens[i % tokens.length]!)
}

function say(f: BenchFigures): string {
  const gb = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`
  const { weightBytes, kvBytes, bufferBytes, residentBytes } = f.memory
  return `${f.compute}
prefill of ${f.promptTokens}: ${f.prefillTokensPerSec.toFixed(1)} tokens/s
decode: ${f.decodeTokensPerSec.toFixed(2)} tokens/s, ${f.msPerToken.toFixed(2)} ms each
roofline: ${gb(f.weightBytesPerToken)} per token at ${gb(f.readBytesPerSec)}/s are ${f.rooflineMs.toFixed(2)} ms; reached ${(100 * f.rooflineShare).toFixed(0)} %
memory: ${gb(weightBytes)} weights, ${gb(kvBytes)} KV, ${gb(bufferBytes)} buffers; ${gb(residentBytes)} resident
`
}
