/**
 * Where a model's bytes come from: any place that answers byte ranges.
 *
 * Implementations: `url-source.ts` (HTTP range requests), `../node/file-source.ts` (a file on disk).
 *
 * @module
 */
export interface RangeSource {
  readonly url: string
  /** @throws EngineError 'model-unreachable' | 'no-ranges' */
  describe(): Promise<{ sizeBytes: number; revision: string }>
  /**
   * Bytes [start, end) in pieces, as they arrive; each is valid until the next is asked for.
   *
   * @throws EngineError 'model-unreachable' (after a few tries), 'model-changed' when the revision is no longer the one
   *   described, 'model-truncated' when the bytes end early, 'no-ranges', 'aborted'
   */
  stream(start: number, end: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
}
