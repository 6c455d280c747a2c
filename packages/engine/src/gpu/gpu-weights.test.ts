import { describe, expect, test } from 'vitest'
import { dequantize } from '../backend/dequant.ts'
import { wasmPacking } from '../backend/wasm-packing.ts'
import { rowBytes, type WeightType } from '../gguf/quant.ts'
import { randomBlocks } from '../testing/random-blocks.ts'
import { gpuFormats, gpuWeightBytes, gpuWeights, type GpuWeights } from './gpu-weights.ts'

const types = Object.keys(gpuFormats) as WeightType[]
const cols = 512

/** All groups of eight rows, as a shard holds them. */
function pack(type: WeightType, rows: number, gguf: Uint8Array): Uint8Array {
  const { rowGroup, groupBytes, packGroup } = wasmPacking
  const bytes = groupBytes(type, cols)
  const packed = new Uint8Array(Math.ceil(rows / rowGroup) * bytes)
  for (let row = 0; row < rows; row += rowGroup) {
    const count = Math.min(rowGroup, rows - row)
    const source = gguf.subarray(row * rowBytes(type, cols), (row + count) * rowBytes(type, cols))
    const at = (row / rowGroup) * bytes
    packGroup(type, cols, count, source, packed.subarray(at, at + bytes))
  }
  return packed
}

/** What MatMulNBits and the corrections make of them, written out. */
function weightsOf(type: WeightType, made: GpuWeights): number[] {
  if ('values' in made) return [...made.values]
  const { bits, block } = gpuFormats[type]!
  const { quants, scales, corrections } = made
  return Array.from({ length: (quants.length * 8) / bits }, (_, i) => {
    const q = bits === 8 ? quants[i]! - 128 : ((quants[i >> 1]! >> (4 * (i & 1))) & 15) - 8
    return scales[Math.floor(i / block)]! * q + (corrections?.[Math.floor(i / 32)] ?? 0)
  })
}

describe.each(types)('%s for the GPU', (type) => {
  // The last group is not full.
  const rows = 19
  const gguf = randomBlocks(7, type, rows, cols)
  const made = gpuWeights(type, rows, cols, pack(type, rows, gguf))

  test('is what the file says, weight for weight', () => {
    const want = new Float32Array(rows * cols)
    dequantize(type, gguf, want)
    const largest = Math.max(...want.map(Math.abs))
    const got = weightsOf(type, made)
    expect(got).toHaveLength(want.length)
    const worst = got.reduce((worst, value, i) => Math.max(worst, Math.abs(value - want[i]!)), 0)
    // Corrections are rounded to f32; all else is exact.
    expect(worst).toBeLessThanOrEqual(gpuFormats[type]?.corrected ? largest * 2 ** -21 : 0)
  })

  test('takes as many bytes as was said before', () => {
    const bytes = Object.values(made).reduce((sum, { byteLength }) => sum + byteLength, 0)
    expect(gpuWeightBytes(type, rows, cols)).toBe(bytes)
  })
})

test('every quant of eight bits survives, the lowest too', () => {
  const gguf = new Uint8Array(rowBytes('Q8_0', cols))
  for (let i = 0; i < gguf.length; i++) gguf[i] = i % 34 < 2 ? [0, 0x3c][i % 34]! : i * 7
  gguf[2] = 0x80
  const want = new Float32Array(cols)
  dequantize('Q8_0', gguf, want)
  expect(weightsOf('Q8_0', gpuWeights('Q8_0', 1, cols, pack('Q8_0', 1, gguf)))).toEqual([...want])
  expect(want[0]).toBe(-128)
})
