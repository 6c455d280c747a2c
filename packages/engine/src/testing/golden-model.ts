/**
 * Golden models and how an implementation is compared with them.
 *
 * @module
 */
import type { ModelConfig } from '../model/config.ts'
import { logitsOf, runAlone, type Head, type Layers } from '../model/layers.ts'
import { probabilities } from '../model/softmax.ts'

/** All of a model, wherever it runs. */
export type WholeModel = { config: ModelConfig; layers: Layers; head: Head }

/** One prompt and what llama.cpp says comes next. */
export type GoldenCase = {
  tokens: number[]
  /** The most likely next tokens. */
  top: [token: number, probability: number][]
  greedy: number[]
  /** How clearly each greedy token won: p(1st) − p(2nd). */
  margins: number[]
}

/** golden/models/NAME.json: `exact` is f32 arithmetic on the dequantized weights. */
export type Golden = { exact: GoldenCase[]; llamacpp: GoldenCase[] }

/** Σ p · ln(p / q) over the tokens named in `top`. */
export function divergence(top: GoldenCase['top'], q: Float32Array): number {
  return top.reduce((sum, [token, p]) => sum + p * Math.log(p / q[token]!), 0)
}

/**
 * Runs tokens through a whole model and gives the probabilities of what comes next.
 *
 * @param options.chunkRows how many tokens go at once; all by default
 */
export async function nextProbabilities(
  model: WholeModel,
  tokens: readonly number[],
  options: { session?: number; position?: number; chunkRows?: number } = {},
): Promise<Float32Array> {
  return probabilities(await logitsOf(model.head, await lastHidden(model, tokens, options)))
}

/** (dim), behind the last layer. */
async function lastHidden(
  { layers, head, config }: WholeModel,
  tokens: readonly number[],
  {
    session = 0,
    position = 0,
    chunkRows = tokens.length,
  }: { session?: number; position?: number; chunkRows?: number },
): Promise<Float32Array> {
  let last: Float32Array = new Float32Array(0)
  for (let at = 0; at < tokens.length; at += chunkRows) {
    const chunk = tokens.slice(at, at + chunkRows)
    const hidden = await head.embed(chunk)
    const frame = { plan: 1, session, position: position + at, layer: 0, rows: chunk.length, hidden }
    last = (await runAlone(layers, frame, config.nLayers)).hidden.subarray(-config.dim)
  }
  return last
}

/** `count` tokens, each the most likely. */
export async function greedyTokens(
  model: WholeModel,
  prompt: readonly number[],
  count: number,
): Promise<number[]> {
  const session = 1
  const tokens: number[] = []
  let hidden = await lastHidden(model, prompt, { session })
  while (tokens.length < count) {
    const token = await likeliest(model.head, hidden)
    tokens.push(token)
    hidden = await lastHidden(model, [token], { session, position: prompt.length + tokens.length - 1 })
  }
  model.layers.release(session)
  return tokens
}

/** The token that most likely follows a row (dim) behind the last layer. */
export async function likeliest(head: Head, row: Float32Array): Promise<number> {
  let token = -1
  await head.logits([row], (logits) => {
    token = logits.argmax()
  })
  return token
}
