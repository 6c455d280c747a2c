/**
 * Weights as onnxruntime's WebGPU kernels read them, from the layout of the CPU kernels (kernels/README.md), without loss.
 *
 * A quantized weight is scale · (q − zero) there, q in 4 or 8 bits, with one zero for all: 8 of 4 bits, 128 of 8. All of
 * ggml's types that the engine runs can be said so, but for the minima of Q4_K and Q5_K, which no zero of whole numbers
 * equals: w = d · scale · (q − zero) + correction, with correction = d · scale · zero − dmin · min for each 32 weights.
 * Then W · x = scaled part · x + corrections · (sums of x over 32).
 *
 * Source: MatMulNBits in onnxruntime's docs/ContribOperators.md: B (rows, blocks, bytes), low nibble first.
 *
 * @module
 */
import { halvesShifted } from '../backend/wasm-packing.ts'
import type { WeightType } from '../gguf/quant.ts'
import { halfToFloat } from '../half.ts'

export type BlockFormat = {
  bits: 4 | 8
  /** Weights that share a scale. */
  block: 16 | 32
  /** Whether there are corrections, for each 32 weights. */
  corrected: boolean
}

/** Null is f32 as it is. */
export const gpuFormats: Readonly<Record<WeightType, BlockFormat | null>> = {
  F32: null,
  F16: null,
  Q8_0: { bits: 8, block: 32, corrected: false },
  Q4_0: { bits: 4, block: 32, corrected: false },
  Q5_0: { bits: 8, block: 32, corrected: false },
  Q4_K: { bits: 4, block: 32, corrected: true },
  Q5_K: { bits: 8, block: 32, corrected: true },
  Q6_K: { bits: 8, block: 16, corrected: false },
}

/** What one matrix W (rows, cols) is to the GPU. */
export type GpuWeights =
  /** (rows, cols) */
  | { values: Float32Array<ArrayBuffer> }
  | {
      /** (rows, cols / block, block · bits / 8) */
      quants: Uint8Array<ArrayBuffer>
      /** (rows, cols / block) */
      scales: Float32Array<ArrayBuffer>
      /** (rows, cols / 32) */
      corrections?: Float32Array<ArrayBuffer>
    }

/** Bytes that {@link gpuWeights} makes of a matrix. */
export function gpuWeightBytes(type: WeightType, rows: number, cols: number): number {
  const format = gpuFormats[type]
  if (!format) return rows * cols * 4
  const { bits, block, corrected } = format
  return rows * ((cols * bits) / 8 + (cols / block) * 4 + (corrected ? (cols / 32) * 4 : 0))
}

/** @param packed all groups of the matrix, in the layout of `wasmPacking`; its offset is a multiple of 4 */
export function gpuWeights(type: WeightType, rows: number, cols: number, packed: Uint8Array): GpuWeights {
  const source = sourceOf(packed)
  const format = gpuFormats[type]
  if (!format) {
    const values = new Float32Array(rows * cols)
    const isHalf = type === 'F16'
    forEachRow(rows, (row, group, lane) => {
      const from = group * cols * lanes + lane
      for (let k = 0; k < cols; k++)
        values[row * cols + k] = isHalf
          ? halfToFloat(source.halves[from + k * lanes]!)
          : source.floats[from + k * lanes]!
    })
    return { values }
  }
  const { bits, block, corrected } = format
  const quants = new Uint8Array((rows * cols * bits) / 8)
  const scales = new Float32Array((rows * cols) / block)
  const corrections = corrected ? new Float32Array((rows * cols) / 32) : undefined
  const words = new Uint32Array(quants.buffer)
  const { weights, packedBytes, unpack } = unpackers[type as Quantized]
  const blocks = cols / weights
  forEachRow(rows, (row, group, lane) => {
    for (let b = 0; b < blocks; b++) {
      const weight = row * cols + b * weights
      unpack(source, (group * blocks + b) * packedBytes * lanes, lane, {
        words,
        word: (weight * bits) / 32,
        scales,
        scale: weight / block,
        corrections,
        correction: weight / 32,
      })
    }
  })
  return { quants, scales, ...(corrections && { corrections }) }
}

type Quantized = Exclude<WeightType, 'F32' | 'F16'>

/** Rows of a group, whose words lie side by side. */
const lanes = 8

type Source = {
  bytes: Uint8Array
  signed: Int8Array
  halves: Uint16Array
  words: Uint32Array
  floats: Float32Array
}

function sourceOf({ buffer, byteOffset, byteLength }: Uint8Array): Source {
  return {
    bytes: new Uint8Array(buffer, byteOffset, byteLength),
    signed: new Int8Array(buffer, byteOffset, byteLength),
    halves: new Uint16Array(buffer, byteOffset, byteLength / 2),
    words: new Uint32Array(buffer, byteOffset, byteLength >> 2),
    floats: new Float32Array(buffer, byteOffset, byteLength >> 2),
  }
}

/** Where a block of one row goes: words of quants, scales, corrections, and the first of its own in each. */
type Place = {
  words: Uint32Array
  word: number
  scales: Float32Array
  scale: number
  corrections: Float32Array | undefined
  correction: number
}

/** One block of row `lane` of the eight whose block begins at byte `at`. */
type UnpackBlock = (source: Source, at: number, lane: number, to: Place) => void

function forEachRow(rows: number, use: (row: number, group: number, lane: number) => void): void {
  for (let row = 0; row < rows; row++) use(row, Math.floor(row / lanes), row % lanes)
}

const halfAt = ({ halves }: Source, at: number, lane: number) => halfToFloat(halves[at / 2 + lane]!)

const q8_0: UnpackBlock = (source, at, lane, { words, word, scales, scale }) => {
  scales[scale] = halfAt(source, at, lane)
  const from = (at + 16) / 4 + lane
  // From −128 … 127 to 0 … 255.
  for (let q = 0; q < 8; q++) words[word + q] = source.words[from + q * lanes]! ^ 0x80808080
}

/** The quants of 32 weights that begin at byte `at`, put down from word `word` on. */
type CopyQuants = (source: Source, at: number, lane: number, words: Uint32Array, word: number) => void

/** Q4_0 and Q5_0: 32 weights and their scale. */
const oneScale =
  (copy: CopyQuants): UnpackBlock =>
  (source, at, lane, { words, word, scales, scale }) => {
    scales[scale] = halfAt(source, at, lane)
    copy(source, at + 16, lane, words, word)
  }

/** Q4_K and Q5_K: eight times 32 weights, `stepBytes` of all rows, which become `steps` words. */
const eightScales =
  (zero: number, stepBytes: number, steps: number, copy: CopyQuants): UnpackBlock =>
  (source, at, lane, to) => {
    for (let sub = 0; sub < 8; sub++) {
      scaleAndCorrect(source, at, lane, sub, zero, to)
      copy(source, at + 160 + sub * stepBytes, lane, to.words, to.word + sub * steps)
    }
  }

const q6_k: UnpackBlock = (source, at, lane, { words, word, scales, scale }) => {
  const d = halfAt(source, at, lane)
  for (let sub = 0; sub < 16; sub++) {
    scales[scale + sub] = d * source.signed[at + 16 + sub * lanes + lane]!
    const from = (at + 144 + sub * 96) / 4 + lane
    let last = 0
    for (let q = 0; q < 3; q++) {
      const step = source.words[from + q * lanes]!
      words[word + sub * 4 + q] = (step & sixBits) + sixesUp
      last ^= halvesShifted(step, 6 - 2 * q)
    }
    words[word + sub * 4 + 3] = (last & sixBits) + sixesUp
  }
}

const sixBits = 0x3f3f3f3f
/** What makes 32 of Q6_K, and 16 of Q5, the 128 that is zero; no byte overflows. */
const sixesUp = 0x60606060
const fivesUp = 0x70707070

/** Of sub-block `sub`, 32 weights of Q4_K or Q5_K, whose quants mean zero at `zero` for the GPU and at 0 in the file. */
function scaleAndCorrect(
  source: Source,
  at: number,
  lane: number,
  sub: number,
  zero: number,
  { scales, scale, corrections, correction }: Place,
): void {
  const step = halfAt(source, at, lane) * source.bytes[at + 32 + sub * lanes + lane]!
  const floor = halfAt(source, at + 16, lane) * source.bytes[at + 96 + sub * lanes + lane]!
  scales[scale + sub] = step
  corrections![correction + sub] = step * zero - floor
}

/** 32 weights in four words: byte i holds weights i and i + 16, and is to hold 2i and 2i + 1. */
function copyNibbles(source: Source, at: number, lane: number, words: Uint32Array, word: number): void {
  const from = at / 4 + lane
  for (let pair = 0; pair < 2; pair++) {
    const first = source.words[from + pair * 2 * lanes]!
    const second = source.words[from + (pair * 2 + 1) * lanes]!
    words[word + pair] = joinNibbles(first) | (joinNibbles(second) << 16)
    words[word + 2 + pair] = joinNibbles(first >>> 4) | (joinNibbles(second >>> 4) << 16)
  }
}

/** The low nibbles of four bytes, as 16 bits. */
function joinNibbles(word: number): number {
  const low = word & 0x0f0f0f0f
  const joined = low | (low >>> 4)
  return (joined & 0xff) | ((joined >>> 8) & 0xff00)
}

/** 32 weights of five bits in five words, as drawn in kernels/q5.ts: three steps lie in the upper bits of the others. */
function copyFives(source: Source, at: number, lane: number, words: Uint32Array, word: number): void {
  const from = at / 4 + lane
  const upper = (q: number) => source.words[from + q * lanes]! >>> 5
  const [first, second, third, fourth, fifth] = [upper(0), upper(1), upper(2), upper(3), upper(4)]
  for (let q = 0; q < 5; q++) words[word + q] = (source.words[from + q * lanes]! & 0x1f1f1f1f) + fivesUp
  const rest = [
    (first & 0x07070707) | ((second & 0x03030303) << 3),
    (third & 0x07070707) | ((fourth & 0x03030303) << 3),
    (fifth & 0x07070707) | (((second >>> 2) & 0x01010101) << 3) | (((fourth >>> 2) & 0x01010101) << 4),
  ]
  for (const [q, step] of rest.entries()) words[word + 5 + q] = step + fivesUp
}

/** Weights and packed bytes of one block of one row. */
const unpackers: Readonly<Record<Quantized, { weights: number; packedBytes: number; unpack: UnpackBlock }>> =
  {
    Q8_0: { weights: 32, packedBytes: 34, unpack: q8_0 },
    Q4_0: { weights: 32, packedBytes: 18, unpack: oneScale(copyNibbles) },
    Q5_0: { weights: 32, packedBytes: 22, unpack: oneScale(copyFives) },
    Q4_K: { weights: 256, packedBytes: 148, unpack: eightScales(8, 128, 4, copyNibbles) },
    Q5_K: { weights: 256, packedBytes: 180, unpack: eightScales(16, 160, 8, copyFives) },
    Q6_K: { weights: 256, packedBytes: 210, unpack: q6_k },
  }
