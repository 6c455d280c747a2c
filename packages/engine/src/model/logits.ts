/**
 * What a model says of the token that comes next, left where its head computed it: a vocabulary has up to 150,000 tokens, of
 * which an answer wants one.
 *
 * @module
 */
import type { Backend, Vector } from '../backend/backend.ts'

export interface Logits {
  /** A view of the values, one for each token; probabilities after {@link softmax}. Valid until memory grows. */
  values(): Float32Array
  /** The largest, the first of equals. */
  argmax(): number
  /** Logits become the probabilities of `temperature` (above 0), in place. */
  softmax(temperature: number): void
  /** The first token from `from` on whose value is `least` or more; -1 when there is none. */
  firstAtLeast(least: number, from: number): number
}

/** @param x (vocabSize), which {@link Logits.softmax} overwrites */
export function logitsIn(backend: Backend, x: Vector): Logits {
  return {
    values: () => x.values(),
    argmax: () => backend.argmax(x),
    softmax: (temperature) => backend.softmax(x, temperature),
    firstAtLeast: (least, from) => backend.firstAtLeast(x, least, from),
  }
}
