/**
 * How fast a loaded model reads and answers, by the token loop that chats use, and how far from its machine's limit.
 *
 * Runs wherever the backend runs: `npm run engine -- bench` and the worker of `npm run bench -- cpu`.
 *
 * @module
 */
import type { WasmBackend } from '../backend/wasm.ts'
import { weightTypes } from '../gguf/quant.ts'
import type { PackedTensor } from '../gguf/shards.ts'
import { createSampler } from '../model/sampler.ts'
import { generate } from '../ring/generate.ts'
import { createVolleys } from '../ring/volleys.ts'
import type { LoadedModel } from './load-model.ts'
import { ringOfOne } from './ring-of-one.ts'

export type AnswerTimes = {
  /** From the question to the first token. */
  prefillMs: number
  /** Of each token after the first. */
  tokenMs: number[]
}

/** What a session's KV cache holds; {@link timeAnswer} keeps it up to date. */
export type BenchSession = { session: number; cached: number[] }

/** Greedy, to the last token that was asked for; in a fresh session unless one is given. */
export async function timeAnswer(
  model: LoadedModel,
  prompt: readonly number[],
  genTokens: number,
  { session, cached }: BenchSession = { session: 0, cached: [] },
): Promise<AnswerTimes> {
  if (cached.length === 0) model.layers.release(session)
  const atMs = [performance.now()]
  const tokens = generate({
    volleys: createVolleys(ringOfOne(model), model.head),
    session,
    prompt,
    cached,
    sample: createSampler({ temperature: 0, topP: 1, seed: 0 }),
    isEnd: () => false,
    maxTokens: genTokens + 1,
    contextLength: prompt.length + genTokens + 1,
    signal: new AbortController().signal,
  })
  for await (const _ of tokens) atMs.push(performance.now())
  const [prefillMs = 0, ...tokenMs] = atMs.slice(1).map((at, i) => at - atMs[i]!)
  return { prefillMs, tokenMs }
}

/** Packed bytes that one token's products go through: every layer and the output, but not an embedding of its own. */
export function weightBytesPerToken({ held, config }: LoadedModel): number {
  const unread = config.tiedOutput ? [] : ['token_embd.weight']
  const tensors = held.flatMap(({ shard }) => shard.tensors)
  return sumBytes(tensors.filter(({ name }) => !unread.includes(name)))
}

/** Bytes of all weights per second when the kernels' threads only read them: the roof over decoding. */
export function timeRead(backend: WasmBackend, { held }: LoadedModel): number {
  const startMs = performance.now()
  for (const { region } of held) backend.readThrough(region)
  const ms = performance.now() - startMs
  return (held.reduce((sum, { region }) => sum + region.byteLength, 0) * 1000) / ms
}

/** Bytes by the type of their weights, as ggml spells it. */
export function bytesByType({ held }: LoadedModel): Record<string, number> {
  const tensors = held.flatMap(({ shard }) => shard.tensors)
  const types = Object.keys(weightTypes).map((type) => [
    type,
    sumBytes(tensors.filter((t) => t.type === type)),
  ])
  return Object.fromEntries(types.filter(([, bytes]) => bytes !== 0))
}

export type MemoryUse = {
  weightBytes: number
  kvBytes: number
  /** Activations, logits and what the threads keep. */
  bufferBytes: number
}

/** What the backend holds now. */
export function memoryUse(backend: WasmBackend, { held, layers }: LoadedModel): MemoryUse {
  const weightBytes = held.reduce((sum, { region }) => sum + region.byteLength, 0)
  const kvBytes = layers.kvBytes()
  return { weightBytes, kvBytes, bufferBytes: backend.memoryBytes() - weightBytes - kvBytes }
}

/** Letters, which {@link byteVocabulary} reads one by one: the same prompt for every engine, as text or as tokens. */
export function benchPrompt(tokens: number): string {
  return Array.from({ length: tokens }, (_, i) => String.fromCharCode(65 + ((i * 7) % 26))).join('')
}

const sumBytes = (tensors: readonly PackedTensor[]) =>
  tensors.reduce((sum, { byteLength }) => sum + byteLength, 0)
