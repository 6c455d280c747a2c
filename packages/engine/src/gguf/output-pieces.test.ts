import { expect, test } from 'vitest'
import { wasmPacking } from '../backend/wasm-packing.ts'
import { outputPieces } from './output-pieces.ts'
import type { PackedTensor, Shard } from './shards.ts'

const cols = 64
const groupBytes = wasmPacking.groupBytes('Q8_0', cols)

/** A head whose embedding has 64 rows and whose output, if it has one of its own, lies behind it. */
function headOf(rows: number, tied = false): Shard {
  const matrix = (name: string, rows: number, offset: number): PackedTensor => ({
    name,
    type: 'Q8_0',
    rows,
    cols,
    kind: 'matrix',
    sourceOffset: 0,
    sourceBytes: 0,
    offset,
    byteLength: Math.ceil(rows / 8) * groupBytes,
  })
  const embedding = matrix('token_embd.weight', tied ? rows : 64, 0)
  const tensors = [embedding, ...(tied ? [] : [matrix('output.weight', rows, embedding.byteLength)])]
  return { file: 'head', tensors, byteLength: embedding.byteLength + (tied ? 0 : tensors[1]!.byteLength) }
}

test('an output no larger than a layer is one piece', () => {
  const [piece, ...more] = outputPieces(headOf(60), wasmPacking, 8 * groupBytes)
  expect(piece).toEqual({ firstRow: 0, rows: 60, offset: 8 * groupBytes, byteLength: 8 * groupBytes })
  expect(more).toEqual([])
})

test('pieces cover every row once, in groups as they are packed, at about the same size', () => {
  for (const tied of [false, true]) {
    for (const rows of [1, 8, 61, 100, 288]) {
      for (const mostGroups of [0.5, 1, 2.5, 5, 100]) {
        const pieces = outputPieces(headOf(rows, tied), wasmPacking, mostGroups * groupBytes)
        let row = 0
        let offset = tied ? 0 : 8 * groupBytes
        for (const piece of pieces) {
          expect(piece.firstRow).toBe(row)
          expect(piece.offset).toBe(offset)
          expect(piece.byteLength).toBe(Math.ceil(piece.rows / 8) * groupBytes)
          expect(piece.byteLength).toBeLessThanOrEqual(Math.ceil(mostGroups) * groupBytes)
          row += piece.rows
          offset += piece.byteLength
        }
        expect(row).toBe(rows)
      }
    }
  }
})
