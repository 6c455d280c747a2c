/**
 * The seam between ring and model: run a span of layers on hidden states, whatever computes them.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { Activation } from '../protocol.ts'
import type { Logits } from './logits.ts'

/** The layers that this device holds. */
export interface Layers {
  /**
   * Runs layers [layer, layer + count) on `hidden` (rows, dim) of every session in the group, extending its KV cache at its
   * position. All begin at the same layer, no session is there twice, and what a layer reads it reads once for all. Each
   * session computes what it would compute alone, to the bit.
   *
   * @returns in the same order, the same rows with `layer` advanced by `count`, but behind the model's last layer the last
   *   row alone, which says what comes next, whether more rows follow or not, unless `every` asks for all; `hidden` is valid
   *   until the next call. Or why a session cannot go on while the others do: 'kv-lost' when its cache holds fewer positions
   *   than it should, 'out-of-memory' when there is room for the others' caches only.
   * @throws EngineError 'out-of-memory' when caches cannot grow, leaving them as they were
   */
  run(group: readonly Activation[], count: number): Promise<(Activation | EngineError)[]>
  /** Drops a session's KV cache, or all of them. */
  release(session?: number): void
  kvBytes(): number
  /** Rows of a prompt that are worth waiting for before they run, because weights are read for each run; at least 1. */
  gatherRows(): number
}

/** One session's rows through {@link Layers.run}. @throws EngineError that, too, which others would go on without */
export async function runAlone(layers: Layers, a: Activation, count: number): Promise<Activation> {
  const [out] = await layers.run([a], count)
  if (out instanceof EngineError) throw out
  return out!
}

/** What only the head holds: the way in and the way out. */
export interface Head {
  /** (tokens, dim), fresh each call. */
  embed(tokens: readonly number[]): Promise<Float32Array>
  /**
   * Calls `use` for each row (dim) with its logits (vocabSize), which are valid meanwhile, and its number. What is read
   * for it is read once for all rows.
   *
   * @param use is called for no row behind one for which it says false; where nothing is read, their logits are not computed
   */
  logits(rows: readonly Float32Array[], use: (logits: Logits, row: number) => boolean | void): Promise<void>
}

/** The logits (vocabSize) of one row, fresh. */
export async function logitsOf(head: Head, row: Float32Array): Promise<Float32Array> {
  let fresh = new Float32Array(0)
  await head.logits([row], (logits) => {
    fresh = logits.values().slice()
  })
  return fresh
}

/** The layers that a frame runs through next. */
export const spanOf = ({ layer }: Activation, count: number): number[] =>
  Array.from({ length: count }, (_, i) => layer + i)

/** @throws EngineError 'not-ready' */
export function notLoaded(layer: number): never {
  throw new EngineError('not-ready', `This device does not hold layer ${layer} yet.`)
}
