/**
 * Bytes at rest: where packed shards live between visits. Knows names and bytes, not models.
 *
 * Implementations: `memory-store.ts` (a Map; Node and tests), `opfs-store.ts` (OPFS through sync access handles, in a
 * dedicated worker).
 *
 * @module
 */

/** One stored file, e.g. model 'k3f…-w4' and file 'layer-007'. Letters, digits, '.', '_' and '-' only. */
export type FileName = { model: string; file: string }

/** A file open for reading; several may be open on one file, in several workers. */
export interface ReadHandle {
  readonly byteLength: number
  /** Fills `into` from `offset`. Synchronous, straight into shared memory. @throws EngineError 'shard-corrupt' when the file is shorter */
  read(into: Uint8Array, offset: number): void
  close(): void
}

/** A file open for writing; one at a time. */
export interface WriteHandle {
  readonly byteLength: number
  /** Writes all of `bytes` at `offset`. @throws EngineError 'storage-full', with how much was missing; nothing already flushed is lost */
  write(bytes: Uint8Array, offset: number): void
  flush(): void
  close(): void
}

export interface ShardStore {
  /** Bytes of a file, or null when there is none. */
  size(name: FileName): Promise<number | null>
  /** @throws EngineError 'shard-corrupt' when there is no such file */
  openRead(name: FileName): Promise<ReadHandle>
  /**
   * Creates the file where it is missing; keeps what it holds.
   *
   * @throws EngineError 'storage-unavailable' while anyone else has the file open
   */
  openWrite(name: FileName): Promise<WriteHandle>
  /**
   * Runs `body` while no other tab, worker or task runs one for the same file; whoever comes second waits, and should
   * look first whether anything is left to do.
   *
   * @throws EngineError 'aborted' when `signal` aborts before its turn
   */
  exclusive<T>(name: FileName, body: () => Promise<T>, signal?: AbortSignal): Promise<T>
  /** All files of all models, with their sizes. */
  list(): Promise<(FileName & { byteLength: number })[]>
  /** Removes one file, or a whole model when `file` is absent. Missing is fine. */
  remove(name: { model: string; file?: string }): Promise<void>
}

/** What is known of a stored file: survives reloads beside the bytes (IndexedDB in browsers, memory in Node). */
export type ShardRecord = FileName & {
  /** Bytes written and flushed so far: where a download resumes. */
  storedBytes: number
  totalBytes: number
  /** XXH32 of each piece of `pieceBytes` written so far, in order. */
  checksums: number[]
  pieceBytes: number
}

/** What is known of a stored model. */
export type ModelRecord = {
  /** Key of the model's files in the store: of its URL, revision and packing. */
  model: string
  name: string
  url: string
  revision: string
  sizeBytes: number
  lastUsedAtMs: number
}

export interface Catalogue {
  models(): Promise<ModelRecord[]>
  putModel(record: ModelRecord): Promise<void>
  shard(name: FileName): Promise<ShardRecord | null>
  putShard(record: ShardRecord): Promise<void>
  /** Forgets a model and its shards, or one shard. */
  remove(name: { model: string; file?: string }): Promise<void>
}
