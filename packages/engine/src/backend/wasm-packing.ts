/**
 * The layout that the WASM kernels read: eight rows interleaved, so that one vector instruction works on a weight of
 * each of four rows and no sum crosses lanes.
 *
 * A group is a row of blocks; each block holds the scales of its eight rows, then its steps. A step is a
 * 32-bit word of row 0, of row 1 … of row 7. The pictures are in kernels/q4.ts, q5.ts, q6.ts, q8.ts and float.ts.
 *
 * @module
 */
import type { Packing } from '../gguf/packing.ts'
import { rowBytes, weightTypes, type WeightType } from '../gguf/quant.ts'

const rowGroup = 8

/** Packed bytes per block of one row: GGUF's, except that the 6-bit scales of Q4_K and Q5_K become bytes (+2.8 %, +2.3 %). */
const blockBytes: Record<WeightType, number> = {
  F32: 4,
  F16: 2,
  Q8_0: 34,
  Q4_0: 18,
  Q5_0: 22,
  Q4_K: 148,
  Q5_K: 180,
  Q6_K: 210,
}

/** Packs the row `lane` of a group. */
type PackRow = (source: DataView, from: number, out: DataView, lane: number, blocks: number) => void

const packRow: Record<WeightType, PackRow> = {
  F32: packF32,
  F16: packF16,
  Q8_0: packQ8_0,
  Q4_0: packQ4_0,
  Q5_0: packQ5_0,
  Q4_K: packQ4_K,
  Q5_K: packQ5_K,
  Q6_K: packQ6_K,
}

export const wasmPacking: Packing = {
  name: 'wasm-8rows-3',
  rowGroup,
  groupBytes: (type, cols) => (rowBytes(type, cols) / weightTypes[type].bytes) * blockBytes[type] * rowGroup,
  packGroup(type, cols, rows, source, out) {
    const from = new DataView(source.buffer, source.byteOffset, source.byteLength)
    const to = new DataView(out.buffer, out.byteOffset, out.byteLength)
    // a missing row has scales of zero
    if (rows < rowGroup) out.fill(0)
    const bytes = rowBytes(type, cols)
    const blocks = cols / weightTypes[type].weights
    for (let lane = 0; lane < rows; lane++) packRow[type](from, lane * bytes, to, lane, blocks)
  },
}

function packF32(source: DataView, from: number, out: DataView, lane: number, blocks: number): void {
  for (let k = 0; k < blocks; k++) {
    out.setUint32(k * 32 + lane * 4, source.getUint32(from + k * 4, true), true)
  }
}

function packF16(source: DataView, from: number, out: DataView, lane: number, blocks: number): void {
  for (let k = 0; k < blocks; k++) {
    out.setUint16(k * 16 + lane * 2, source.getUint16(from + k * 2, true), true)
  }
}

// block_q8_0: f16 d, 32 × i8
function packQ8_0(source: DataView, from: number, out: DataView, lane: number, blocks: number): void {
  for (let b = 0; b < blocks; b++) {
    const block = from + b * 34
    const to = b * 272
    out.setUint16(to + lane * 2, source.getUint16(block, true), true)
    for (let q = 0; q < 8; q++) {
      out.setUint32(to + 16 + q * 32 + lane * 4, source.getUint32(block + 2 + q * 4, true), true)
    }
  }
}

// block_q4_0: f16 d, 16 bytes: weight i in the low nibble of byte i, weight i + 16 in its high nibble
function packQ4_0(source: DataView, from: number, out: DataView, lane: number, blocks: number): void {
  for (let b = 0; b < blocks; b++) {
    const block = from + b * 18
    const to = b * 144
    out.setUint16(to + lane * 2, source.getUint16(block, true), true)
    for (let q = 0; q < 4; q++) {
      out.setUint32(to + 16 + q * 32 + lane * 4, source.getUint32(block + 2 + q * 4, true), true)
    }
  }
}

// block_q4_K: f16 d, f16 dmin, 12 bytes of 6-bit scales and minima, 128 bytes: of every 32, low nibbles are one
// block of 32 weights and high nibbles the next
function packQ4_K(source: DataView, from: number, out: DataView, lane: number, blocks: number): void {
  for (let b = 0; b < blocks; b++) {
    const block = from + b * 144
    const to = b * 1184
    packScalesAndMinima(source, block, out, to, lane)
    for (let pair = 0; pair < 4; pair++) {
      const quants = block + 16 + pair * 32
      const even = to + 160 + pair * 256 + lane * 4
      for (let q = 0; q < 4; q++) {
        const first = source.getInt32(quants + q * 4, true)
        const second = source.getInt32(quants + 16 + q * 4, true)
        out.setInt32(even + q * 32, (first & nibbles) | ((second & nibbles) << 4), true)
        out.setInt32(even + 128 + q * 32, ((first >>> 4) & nibbles) | (second & ~nibbles), true)
      }
    }
  }
}

/** d, dmin and the 6-bit scales and minima of eight blocks, as Q4_K and Q5_K have them. */
function packScalesAndMinima(source: DataView, block: number, out: DataView, to: number, lane: number): void {
  out.setUint16(to + lane * 2, source.getUint16(block, true), true)
  out.setUint16(to + 16 + lane * 2, source.getUint16(block + 2, true), true)
  for (let i = 0; i < 4; i++) {
    const scale = source.getUint8(block + 4 + i)
    const minimum = source.getUint8(block + 8 + i)
    const rest = source.getUint8(block + 12 + i)
    out.setUint8(to + 32 + i * 8 + lane, scale & 63)
    out.setUint8(to + 96 + i * 8 + lane, minimum & 63)
    out.setUint8(to + 64 + i * 8 + lane, (rest & 15) | ((scale >> 6) << 4))
    out.setUint8(to + 128 + i * 8 + lane, (rest >> 4) | ((minimum >> 6) << 4))
  }
}

// block_q5_0: f16 d, a word with the fifth bit of every weight, nibbles as in Q4_0
function packQ5_0(source: DataView, from: number, out: DataView, lane: number, blocks: number): void {
  for (let b = 0; b < blocks; b++) {
    const block = from + b * 22
    const to = b * 176
    out.setUint16(to + lane * 2, source.getUint16(block, true), true)
    const fifths = source.getUint32(block + 2, true)
    packFiveBits(out, to + 16 + lane * 4, (q) => {
      const nibble = nibblesAt(source, block + 6 + (q & 3) * 4, q < 4 ? 0 : 4)
      return nibble | spread(fifths >>> (q * 4))
    })
  }
}

/** Four bits as the fifth bits of the bytes of a word. */
function spread(bits: number): number {
  return ((bits & 1) << 4) | ((bits & 2) << 11) | ((bits & 4) << 18) | ((bits & 8) << 25)
}

// block_q5_K: as block_q4_K, and between scales and nibbles 32 bytes, bit j of which are the fifth bits of block j
function packQ5_K(source: DataView, from: number, out: DataView, lane: number, blocks: number): void {
  for (let b = 0; b < blocks; b++) {
    const block = from + b * 176
    const to = b * 1440
    packScalesAndMinima(source, block, out, to, lane)
    for (let j = 0; j < 8; j++) {
      packFiveBits(out, to + 160 + j * 160 + lane * 4, (q) => {
        const nibble = nibblesAt(source, block + 48 + (j >> 1) * 32 + q * 4, (j & 1) * 4)
        return nibble | (((source.getInt32(block + 16 + q * 4, true) >>> j) & ones) << 4)
      })
    }
  }
}

/** A block of 32 weights, of which `step` tells four at a time: five words hold eight, as drawn in kernels/q5.ts. */
function packFiveBits(out: DataView, to: number, step: (q: number) => number): void {
  const [fifth, sixth, seventh] = [step(5), step(6), step(7)]
  const upper = [
    fifth & threes,
    ((fifth >>> 3) & pairs) | (((seventh >>> 3) & ones) << 2),
    sixth & threes,
    ((sixth >>> 3) & pairs) | (((seventh >>> 4) & ones) << 2),
    seventh & threes,
  ]
  for (const [q, bits] of upper.entries()) out.setInt32(to + q * 32, step(q) | (bits << 5), true)
}

const nibbles = 0x0f0f0f0f
const threes = 0x07070707
const pairs = 0x03030303
const ones = 0x01010101

// block_q6_K: 128 bytes of low nibbles, 64 of upper bits, 16 × i8 scales, f16 d. Of every 128 weights, number
// 32j + i has its nibble in byte 32 (j mod 2) + i, low for j < 2, and its upper bits at 2j of byte i
function packQ6_K(source: DataView, from: number, out: DataView, lane: number, blocks: number): void {
  for (let b = 0; b < blocks; b++) {
    const block = from + b * 210
    const to = b * 1680
    out.setUint16(to + lane * 2, source.getUint16(block + 208, true), true)
    for (let i = 0; i < 16; i++) out.setInt8(to + 16 + i * 8 + lane, source.getInt8(block + 192 + i))
    for (let j = 0; j < 8; j++) {
      const low = block + (j >> 2) * 64 + (j & 1) * 32
      const upper = block + 128 + (j >> 2) * 32
      const lowShift = j & 2 ? 4 : 0
      const upperShift = (j & 3) * 2
      for (let half = 0; half < 2; half++) {
        const steps = to + 144 + j * 192 + half * 96 + lane * 4
        const first = low + half * 16
        const firstUpper = upper + half * 16
        const w0 = sixBitsAt(source, first, lowShift, firstUpper, upperShift)
        const w1 = sixBitsAt(source, first + 4, lowShift, firstUpper + 4, upperShift)
        const w2 = sixBitsAt(source, first + 8, lowShift, firstUpper + 8, upperShift)
        const w3 = sixBitsAt(source, first + 12, lowShift, firstUpper + 12, upperShift)
        const shared = w3 ^ halvesShifted(w0, 6) ^ halvesShifted(w1, 4) ^ halvesShifted(w2, 2)
        out.setInt32(steps, w0 | ((shared & pairs) << 6), true)
        out.setInt32(steps + 32, w1 | (((shared >>> 2) & pairs) << 6), true)
        out.setInt32(steps + 64, w2 | (((shared >>> 4) & pairs) << 6), true)
      }
    }
  }
}

/** A nibble and two upper bits of each byte of a word. */
function sixBitsAt(source: DataView, low: number, lowShift: number, upper: number, upperShift: number) {
  return nibblesAt(source, low, lowShift) | (pairsAt(source, upper, upperShift) << 4)
}

/** The halves of a word, each shifted right: what comes along when the kernels shift 16-bit lanes. */
export function halvesShifted(word: number, by: number): number {
  return (word >>> by) & ((0xffff >>> by) * 0x10001)
}

/** The low four bits of each byte of a word, or with shift 4 the high four. */
function nibblesAt(source: DataView, at: number, shift: number): number {
  return (source.getInt32(at, true) >>> shift) & nibbles
}

/** Two bits of each byte of a word. */
function pairsAt(source: DataView, at: number, shift: number): number {
  return (source.getInt32(at, true) >>> shift) & pairs
}
