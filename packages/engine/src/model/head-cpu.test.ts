import { describe, expect, test } from 'vitest'
import type { Backend, Region } from '../backend/backend.ts'
import { createReferenceBackend } from '../backend/reference.ts'
import { createWasmBackend } from '../backend/wasm.ts'
import { readHeader } from '../gguf/header.ts'
import { outputPieces, tensorOf } from '../gguf/output-pieces.ts'
import { shardParts } from '../gguf/shard-parts.ts'
import { shardsOf } from '../gguf/shards.ts'
import { loadModel } from '../node/load-model.ts'
import { createNodeHost } from '../node/wasm-host.ts'
import { bytesSource } from '../testing/bytes-source.ts'
import { randomNumbers } from '../testing/random-blocks.ts'
import { tinyModel } from '../testing/tiny-model.ts'
import { modelConfig } from './config.ts'
import { createHead, headScratchBytes } from './head-cpu.ts'
import { logitsOf } from './layers.ts'

const dim = 256
const vocabSize = 300
const tokens = [0, 1, 7, 8, 150, 151, 152, 299]

/** A head of many small pieces over the packed bytes of its file, as a store has them. */
async function pieceByPiece(gguf: Uint8Array, backend: Backend) {
  const header = await readHeader(bytesSource(gguf))
  const config = modelConfig(header)
  const { head: shard } = shardsOf(header, backend.packing)
  const file = new Uint8Array(shard.byteLength)
  for (const { sourceOffset, sourceBytes, offset, ...unit } of shardParts(shard, backend.packing)) {
    for (let from = 0, to = offset; from < sourceBytes; from += unit.unitSourceBytes, to += unit.unitBytes) {
      const end = Math.min(from + unit.unitSourceBytes, sourceBytes)
      unit.pack(
        gguf.subarray(sourceOffset + from, sourceOffset + end),
        file.subarray(to, to + unit.unitBytes),
      )
    }
  }
  const pieces = outputPieces(shard, backend.packing, tensorOf(shard, 'token_embd.weight').byteLength / 5)
  const regionOf = ({ offset, byteLength }: { offset: number; byteLength: number }): Region => {
    const region = backend.region(byteLength)
    region.bytes().set(file.subarray(offset, offset + byteLength))
    return region
  }
  const reads: number[] = []
  const head = createHead({
    backend,
    config,
    shard,
    pieces,
    norm: regionOf(tensorOf(shard, 'output_norm.weight')),
    read(offset, into) {
      reads.push(into.length)
      into.set(file.subarray(offset, offset + into.length))
    },
  })
  const inUse = new Map<number, Region>()
  const stream = {
    async acquire(piece: number) {
      await Promise.resolve()
      inUse.set(piece, regionOf(pieces[piece]!))
      return inUse.get(piece)!
    },
    release(piece: number) {
      inUse.get(piece)!.bytes().fill(255)
      inUse.get(piece)!.free()
      inUse.delete(piece)
    },
  }
  return { head, pieces, regionOf, stream, inUse, reads, config, shard }
}

const backends = [
  ['reference', () => createReferenceBackend()],
  ['WASM', () => createWasmBackend(createNodeHost(), { threads: 1 })],
] as const

describe.each(backends)('a head over %s says the same', (_, create) => {
  for (const tiedOutput of [true, false]) {
    test(`piece by piece, held, streamed or both, ${tiedOutput ? 'tied' : 'with an embedding of its own'}`, async () => {
      const gguf = tinyModel({ type: 'Q8_0', dim, vocabSize, tiedOutput })
      const whole = (await loadModel(bytesSource(gguf), await create())).head
      const hidden = randomNumbers(1, dim)
      const logits = await logitsOf(whole, hidden)
      const embedded = await whole.embed(tokens)

      const { head, pieces, regionOf, stream, inUse, reads } = await pieceByPiece(gguf, await create())
      expect(pieces.length).toBeGreaterThan(4)
      for (const held of [[], [1, 2], pieces.map((_, i) => i)]) {
        for (const i of pieces.keys()) {
          if (held.includes(i)) head.load(i, regionOf(pieces[i]!))
          else head.stream(i, stream)
        }
        reads.length = 0
        expect(await logitsOf(head, hidden)).toEqual(logits)
        expect(inUse.size).toBe(0)
        expect(await head.embed(tokens)).toEqual(embedded)
        const isHeld = (token: number) =>
          tiedOutput &&
          held.some((i) => token >= pieces[i]!.firstRow && token < pieces[i]!.firstRow + pieces[i]!.rows)
        expect(reads).toHaveLength(tokens.filter((token) => !isHeld(token)).length)
      }
    })
  }
})

test('several rows share one pass over the pieces, and each gets the logits that it gets alone', async () => {
  const gguf = tinyModel({ type: 'Q8_0', dim, vocabSize, tiedOutput: false })
  const { head, pieces, regionOf, stream } = await pieceByPiece(gguf, await createReferenceBackend())
  let acquired = 0
  const counted = { ...stream, acquire: (piece: number) => (acquired++, stream.acquire(piece)) }
  head.load(0, regionOf(pieces[0]!))
  for (const piece of pieces.keys()) if (piece > 0) head.stream(piece, counted)
  const rows = [1, 2, 3, 4, 5].map((seed) => randomNumbers(seed, dim))
  const alone: Float32Array[] = []
  for (const row of rows) alone.push(await logitsOf(head, row))
  acquired = 0
  const before = head.scratchBytes()
  const together: Float32Array[] = []
  await head.logits(rows, (logits, row) => {
    together[row] = logits.values().slice()
  })
  expect(together).toEqual(alone)
  expect(acquired).toBe(pieces.length - 1)
  expect(head.scratchBytes()).toBe(before + (rows.length - 1) * vocabSize * 4)
})

test('rows behind one that wants no more get no logits, held or streamed', async () => {
  const gguf = tinyModel({ type: 'Q8_0', dim, vocabSize, tiedOutput: false })
  const { head, pieces, regionOf, stream } = await pieceByPiece(gguf, await createReferenceBackend())
  const rows = [1, 2, 3].map((seed) => randomNumbers(seed, dim))
  const before = head.scratchBytes()
  for (const held of [true, false]) {
    for (const piece of pieces.keys()) {
      if (held) head.load(piece, regionOf(pieces[piece]!))
      else head.stream(piece, stream)
    }
    const used: number[] = []
    await head.logits(rows, (_, row) => {
      used.push(row)
      return row < 1
    })
    expect(used).toEqual([0, 1])
    // What is held runs row by row, so that nothing is computed for those that nobody wants.
    if (held) expect(head.scratchBytes()).toBe(before)
  }
})

test('a held embedding is not read', async () => {
  const gguf = tinyModel({ type: 'Q8_0', dim, vocabSize, tiedOutput: false })
  const { head, regionOf, reads, shard } = await pieceByPiece(gguf, await createReferenceBackend())
  const rows = await head.embed(tokens)
  reads.length = 0
  head.loadEmbedding(regionOf(tensorOf(shard, 'token_embd.weight')))
  expect(head.holdsEmbedding()).toBe(true)
  expect(await head.embed(tokens)).toEqual(rows)
  expect(reads).toEqual([])
})

test('its scratch is as large as it says, and all memory comes back', async () => {
  const backend = await createReferenceBackend()
  const gguf = tinyModel({ dim, vocabSize, tiedOutput: false })
  const { head, pieces, regionOf, stream, config, shard } = await pieceByPiece(gguf, backend)
  expect(head.scratchBytes()).toBe(headScratchBytes(backend, config, shard, pieces))
  expect(backend.memoryBytes()).toBe(head.scratchBytes())
  head.load(0, regionOf(pieces[0]!))
  head.stream(0, stream)
  head.load(1, regionOf(pieces[1]!))
  head.loadEmbedding(regionOf(tensorOf(shard, 'token_embd.weight')))
  head.free()
  expect(backend.memoryBytes()).toBe(0)
})

test('a piece that is not here is said to be missing', async () => {
  const { head } = await pieceByPiece(tinyModel({ dim, vocabSize }), await createReferenceBackend())
  await expect(logitsOf(head, new Float32Array(dim))).rejects.toMatchObject({ code: 'not-ready' })
})
