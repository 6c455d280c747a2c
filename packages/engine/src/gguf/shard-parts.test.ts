import { expect, test } from 'vitest'
import { downloadShard } from '../store/download.ts'
import { readShard } from '../store/load-shard.ts'
import { createMemoryCatalogue } from '../store/memory-catalogue.ts'
import { createMemoryStore } from '../store/memory-store.ts'
import { bytesSource } from '../testing/bytes-source.ts'
import { noise } from '../testing/noise.ts'
import type { Packing } from './packing.ts'
import { rowBytes } from './quant.ts'
import { shardParts } from './shard-parts.ts'
import type { Shard } from './shards.ts'

/** Groups of three rows, each behind a byte that says how many rows there really are. */
const packing: Packing = {
  name: 'threes',
  rowGroup: 3,
  groupBytes: (type, cols) => 1 + 3 * rowBytes(type, cols),
  packGroup(_type, _cols, rows, source, out) {
    out.fill(0)
    out[0] = rows
    out.set(source, 1)
  },
}

const content = noise(5000)
const shard: Shard = {
  file: 'layer-000',
  tensors: [
    {
      name: 'norm',
      type: 'F32',
      rows: 1,
      cols: 32,
      kind: 'vector',
      sourceOffset: 1000,
      sourceBytes: 128,
      offset: 0,
      byteLength: 128,
    },
    {
      name: 'matrix',
      type: 'Q8_0',
      rows: 7,
      cols: 64,
      kind: 'matrix',
      sourceOffset: 1152,
      sourceBytes: 7 * 68,
      offset: 128,
      byteLength: 3 * 205,
    },
  ],
  byteLength: 128 + 3 * 205,
}

test('a vector is stored as it is, a matrix in groups of rows with a short last one', async () => {
  const shelf = { store: createMemoryStore(), catalogue: createMemoryCatalogue() }
  const name = { model: 'alpha', file: shard.file }
  const source = bytesSource(content, { pieceBytes: 100 })
  await downloadShard({
    ...shelf,
    source,
    name,
    parts: shardParts(shard, packing),
    byteLength: shard.byteLength,
  })
  const bytes = new Uint8Array(shard.byteLength)
  await readShard({ ...shelf, name, into: () => bytes })

  const row = (index: number) => [...content.subarray(1152 + index * 68, 1152 + (index + 1) * 68)]
  const group = (rows: number[]) =>
    Array.from({ length: 205 }, (_, i) => [rows.length, ...rows.flatMap(row)][i] ?? 0)
  expect([...bytes]).toEqual([
    ...content.subarray(1000, 1128),
    ...group([0, 1, 2]),
    ...group([3, 4, 5]),
    ...group([6]),
  ])
  expect(source.requests).toEqual([{ start: 1000, end: 1152 + 7 * 68 }])
})
