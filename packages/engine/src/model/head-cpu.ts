/**
 * The head over a {@link Backend}: tokens → hidden states, hidden state → logits.
 *
 * Of the embedding a token needs one row, so it need not be in memory at all; the output matrix is needed whole, piece by
 * piece, each held or streamed like a layer. Where the two are tied, rows come out of the pieces that are held.
 *
 * @module
 */
import type { Backend, Matrix, Region } from '../backend/backend.ts'
import { EngineError } from '../errors.ts'
import { outputOf, tensorOf, type OutputPiece } from '../gguf/output-pieces.ts'
import type { Shard } from '../gguf/shards.ts'
import type { ModelConfig } from './config.ts'
import type { Head } from './layers.ts'
import { logitsIn } from './logits.ts'
import { allocateTogether } from './scratch.ts'
import type { WeightStream } from './weight-stream.ts'

export type CpuHead = Head & {
  /** Takes the whole embedding into use; the region (all of its packed bytes) is freed when it is unloaded. */
  loadEmbedding(region: Region): void
  unloadEmbedding(): void
  holdsEmbedding(): boolean
  /** Takes a piece of the output into use; `region` (all of its packed bytes) is freed when it is unloaded. */
  load(piece: number, region: Region): void
  /** Takes a piece into use whose weights come each time it runs. */
  stream(piece: number, weights: WeightStream): void
  unload(piece: number): void
  /** Pieces with weights of their own, by `load`. */
  loaded(): number[]
  /** What it has allocated besides its matrices: {@link headScratchBytes}, and more for rows that came together. */
  scratchBytes(): number
  /** Frees weights and scratch. */
  free(): void
}

export type HeadOptions = {
  backend: Backend
  config: ModelConfig
  shard: Shard
  /** Of the output, in order, covering all of its rows. */
  pieces: readonly OutputPiece[]
  /** Holds `output_norm.weight`; freed with the head, and the caller's still when {@link createHead} throws. */
  norm: Region
  /** Fills `into` from `offset` of the head's file: rows of an embedding that is not held. */
  read(offset: number, into: Uint8Array): void
}

/** What a head allocates besides its matrices, in bytes. */
export function headScratchBytes(
  { packing }: Backend,
  { dim, vocabSize }: ModelConfig,
  shard: Shard,
  pieces: readonly OutputPiece[],
): number {
  const { type } = tensorOf(shard, embeddingName)
  const pieceRows = pieces.length > 1 ? rowsOf(pieces) : 0
  return (3 * dim + vocabSize + pieceRows) * 4 + packing.groupBytes(type, dim)
}

/** @throws EngineError 'out-of-memory' when there is no room for the scratch */
export function createHead({ backend, config, shard, pieces, norm, read }: HeadOptions): CpuHead {
  const { dim, vocabSize, rmsEps, tiedOutput } = config
  const { rowGroup, groupBytes } = backend.packing
  const embedding = tensorOf(shard, embeddingName)
  const output = outputOf(shard)
  const normWeights = backend.vector(norm, 0, dim)
  const { x, normed, part, scores } = allocateTogether(backend, (make) => ({
    x: make(dim), // (dim), of embed
    normed: make(dim), // (dim), of logits
    part: pieces.length > 1 ? make(rowsOf(pieces)) : null, // (rows of the largest piece)
    scores: [make(vocabSize)], // (vocabSize) each, of as many rows as ever shared a reading
  }))
  /** A group of the embedding's rows, as it is packed: the least that can be read. */
  const group = roomFor(groupBytes(embedding.type, dim))
  const groupRows = backend.matrix(group, 0, embedding.type, rowGroup, dim)
  let held: { region: Region; rows: Matrix } | null = null
  const loaded = new Map<number, { region: Region; w: Matrix }>()
  const streamed = new Map<number, WeightStream>()

  function roomFor(byteLength: number): Region {
    try {
      return backend.region(byteLength)
    } catch (thrown) {
      freeScratch()
      throw thrown
    }
  }

  function freeScratch(): void {
    for (const vector of [x, normed, part, ...scores]) vector?.free()
  }

  const matrixOf = (piece: number, region: Region): Matrix =>
    backend.matrix(region, 0, output.type, pieces[piece]!.rows, dim)

  /** Where a token's row is: in memory, or read to where it can be taken from. */
  function rowOf(token: number): { rows: Matrix; row: number } {
    if (held) return { rows: held.rows, row: token }
    if (tiedOutput) {
      const piece = pieces.findIndex(({ firstRow, rows }) => token >= firstRow && token < firstRow + rows)
      const holding = loaded.get(piece)
      if (holding) return { rows: holding.w, row: token - pieces[piece]!.firstRow }
    }
    read(embedding.offset + Math.floor(token / rowGroup) * group.byteLength, group.bytes())
    return { rows: groupRows, row: token % rowGroup }
  }

  /** Calls `use` with a piece's weights: at once where they are held, as soon as they have come where they stream. */
  async function withPiece(piece: number, use: (w: Matrix) => void): Promise<void> {
    const holding = loaded.get(piece)
    if (holding) return use(holding.w)
    const weights = streamed.get(piece) ?? notLoaded()
    const region = await weights.acquire(piece)
    try {
      use(matrixOf(piece, region))
    } finally {
      weights.release(piece)
    }
  }

  /** Logits of each row (dim), into as many of the scores; a piece is taken once for all. */
  async function score(hidden: readonly Float32Array[]): Promise<void> {
    while (scores.length < hidden.length) scores.push(backend.scratch(vocabSize))
    for (const [i, { firstRow, rows }] of pieces.entries()) {
      await withPiece(i, (w) => {
        for (const [row, values] of hidden.entries()) {
          normed.values().set(values)
          backend.rmsNorm(normed, normed, normWeights, 1, rmsEps)
          const whole = scores[row]!
          backend.matmul([{ out: part ?? whole, w }], normed, 1)
          if (part) whole.values().set(part.values().subarray(0, rows), firstRow)
        }
      })
    }
  }

  function unloadEmbedding(): void {
    held?.region.free()
    held = null
  }

  function unload(piece: number): void {
    loaded.get(piece)?.region.free()
    loaded.delete(piece)
    streamed.delete(piece)
  }

  return {
    async embed(tokens) {
      const hidden = new Float32Array(tokens.length * dim)
      for (const [i, token] of tokens.entries()) {
        const { rows, row } = rowOf(token)
        backend.embed(x, rows, [row])
        hidden.set(x.values(), i * dim)
      }
      return hidden
    },

    async logits(hidden, use) {
      if (streamed.size > 0) {
        await score(hidden)
        for (const row of hidden.keys()) if (use(logitsIn(backend, scores[row]!), row) === false) return
        return
      }
      for (const [row, values] of hidden.entries()) {
        await score([values])
        if (use(logitsIn(backend, scores[0]!), row) === false) return
      }
    },

    loadEmbedding(region) {
      unloadEmbedding()
      held = { region, rows: backend.matrix(region, 0, embedding.type, embedding.rows, dim) }
    },
    unloadEmbedding,
    holdsEmbedding: () => held !== null,
    load(piece, region) {
      unload(piece)
      loaded.set(piece, { region, w: matrixOf(piece, region) })
    },
    stream(piece, weights) {
      unload(piece)
      streamed.set(piece, weights)
    },
    unload,
    loaded: () => [...loaded.keys()].toSorted((a, b) => a - b),
    scratchBytes: () =>
      headScratchBytes(backend, config, shard, pieces) + (scores.length - 1) * vocabSize * 4,

    free() {
      for (const piece of loaded.keys()) unload(piece)
      unloadEmbedding()
      freeScratch()
      for (const region of [norm, group]) region.free()
    },
  }
}

const embeddingName = 'token_embd.weight'

const rowsOf = (pieces: readonly OutputPiece[]) => Math.max(...pieces.map(({ rows }) => rows))

function notLoaded(): never {
  throw new EngineError('not-ready', 'This device does not hold the output of the model yet.')
}
