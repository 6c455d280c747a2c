/**
 * Rows of several sessions that run through a span of layers together, whatever computes them: their KV caches are opened
 * before the first one runs, and what came of them is handed back in the order in which they came.
 *
 * @module
 */
import type { KvCache } from '../backend/backend.ts'
import { EngineError } from '../errors.ts'
import type { Activation } from '../protocol.ts'
import type { KvCaches } from './kv-caches.ts'

/** Rows of one session with its cache in each layer; `at` is where they begin in the result. */
export type Run<Cache> = { a: Activation; kv: Cache[]; at: number }

export type LayerGroup<Cache> = {
  /** Of those that can go on. */
  runs: Run<Cache>[]
  /** Numbers in the result: all rows of all runs. */
  length: number
  /**
   * Says that all runs are through.
   *
   * @param result (rows of all runs, dim); behind the model's last layer, `isLast`, each run's last row where it begins, or
   *   all where it asks for every row
   * @returns what `Layers.run` does
   */
  done(result: Float32Array, isLast: boolean): (Activation | EngineError)[]
}

/** @throws EngineError 'out-of-memory', 'gpu-full' when caches cannot grow, leaving them as they were */
export function openGroup<Cache extends KvCache>(
  caches: KvCaches<Cache>,
  group: readonly Activation[],
  span: readonly number[],
): LayerGroup<Cache> {
  // Reserved for all layers before the first one computes, so that a full memory leaves every cache as it was.
  const opened = group.map((a) => openAll(caches, a, span))
  const runs: Run<Cache>[] = []
  let length = 0
  for (const [i, a] of group.entries()) {
    const kv = opened[i]!
    if (kv instanceof EngineError) continue
    runs.push({ a, kv, at: length })
    length += a.hidden.length
    // What lies beyond is overwritten from here on, so it is gone even if a step below fails.
    caches.commit(a.session, span, a.position)
  }
  return {
    runs,
    length,
    done(result, isLast) {
      const through = runs.map(({ a, at }) => {
        caches.commit(a.session, span, a.position + a.rows)
        const hidden = result.subarray(at, at + a.hidden.length)
        const out = { ...a, layer: a.layer + span.length, hidden }
        return isLast && !a.every ? lastRow(out) : out
      })
      return opened.map((kv) => (kv instanceof EngineError ? kv : through.shift()!))
    },
  }
}

/** A session's caches in these layers, with room for its rows, or that they were lost. */
function openAll<Cache extends KvCache>(
  caches: KvCaches<Cache>,
  { session, position, rows }: Activation,
  span: readonly number[],
): Cache[] | EngineError {
  try {
    return span.map((layer) => caches.open(session, layer, position, rows))
  } catch (thrown) {
    if (thrown instanceof EngineError && thrown.code === 'kv-lost') return thrown
    throw thrown
  }
}

/** After the last layer only the last row says what comes next; it stands first. */
function lastRow(a: Activation): Activation {
  const { more: _, ...rest } = a
  const hidden = a.hidden.subarray(0, a.hidden.length / a.rows)
  return { ...rest, rows: 1, position: a.position + a.rows - 1, hidden }
}
