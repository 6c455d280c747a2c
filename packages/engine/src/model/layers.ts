/**
 * The seam between ring and model: run a span of layers on hidden states, whatever computes them.
 *
 * @module
 */
import type { Activation } from '../protocol.ts'

/** The layers that this device holds. */
export interface Layers {
  /**
   * Runs layers [a.layer, a.layer + count) on a.hidden (rows, dim), extending this session's KV cache at a.position.
   *
   * @returns the same rows with `layer` advanced by `count`, but behind the model's last layer the last row alone, which
   *   says what comes next, whether more rows follow or not; `hidden` is valid until the next call
   * @throws EngineError 'kv-lost' when the cache holds fewer than a.position positions; 'out-of-memory' when it cannot
   *   grow, leaving it as it was
   */
  run(a: Activation, count: number): Promise<Activation>
  /** Drops a session's KV cache, or all of them. */
  release(session?: number): void
  kvBytes(): number
  /** Rows of a prompt that are worth waiting for before they run, because weights are read for each run; at least 1. */
  gatherRows(): number
}

/** What only the head holds: the way in and the way out. */
export interface Head {
  /** (tokens, dim), fresh each call. */
  embed(tokens: readonly number[]): Promise<Float32Array>
  /** Of one row (dim): (vocabSize), valid until the next call. */
  logits(hidden: Float32Array): Promise<Float32Array>
}
