/**
 * Quantized blocks → f32, by the book: one function per weight type, in the words of ggml's structs.
 *
 * Source: block structs of ggml-common.h and dequantize_row_* of ggml-quants.c. Numbers are little-endian. `d` is a
 * block's scale, `m` or `dmin` the scale of what is subtracted, `q` a weight's integer.
 *
 * @module
 */
import { weightTypes, type WeightType } from '../gguf/quant.ts'
import { halfToFloat } from '../half.ts'

/** One block at `at` of `source` → its weights at `to` of `out`. */
type DequantizeBlock = (source: DataView, at: number, out: Float32Array, to: number) => void

/**
 * Whole blocks → as many f32 weights as they hold.
 *
 * @param source GGUF blocks, out.length / weights per block of them
 * @throws RangeError when the lengths do not fit together
 */
export function dequantize(type: WeightType, source: Uint8Array, out: Float32Array): void {
  const block = weightTypes[type]
  const count = out.length / block.weights
  if (source.byteLength !== count * block.bytes) {
    throw new RangeError(
      `${out.length} ${type} weights take ${count * block.bytes} bytes, not ${source.byteLength}`,
    )
  }
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength)
  const dequantizeBlock = dequantizers[type]
  for (let b = 0; b < count; b++) dequantizeBlock(view, b * block.bytes, out, b * block.weights)
}

const half = (source: DataView, at: number) => halfToFloat(source.getUint16(at, true))

const f32: DequantizeBlock = (source, at, out, to) => {
  out[to] = source.getFloat32(at, true)
}

const f16: DequantizeBlock = (source, at, out, to) => {
  out[to] = half(source, at)
}

/** { half d; int8 qs[32] }: weight = d · q */
const q8_0: DequantizeBlock = (source, at, out, to) => {
  const d = half(source, at)
  for (let i = 0; i < 32; i++) out[to + i] = d * source.getInt8(at + 2 + i)
}

/** { half d; uint8 qs[16] }: low nibbles are weights 0–15, high nibbles 16–31; weight = d · (q − 8) */
const q4_0: DequantizeBlock = (source, at, out, to) => {
  const d = half(source, at)
  for (let i = 0; i < 16; i++) {
    const pair = source.getUint8(at + 2 + i)
    out[to + i] = d * ((pair & 15) - 8)
    out[to + i + 16] = d * ((pair >> 4) - 8)
  }
}

/** { half d; uint8 qh[4]; uint8 qs[16] }: as Q4_0, and bit i of qh is the fifth bit of weight i; weight = d · (q − 16) */
const q5_0: DequantizeBlock = (source, at, out, to) => {
  const d = half(source, at)
  const fifths = source.getUint32(at + 2, true)
  for (let i = 0; i < 32; i++) {
    const q = (source.getUint8(at + 6 + (i & 15)) >> (i < 16 ? 0 : 4)) & 15
    out[to + i] = d * ((q | (((fifths >>> i) & 1) << 4)) - 16)
  }
}

/**
 * { half d, dmin; uint8 scales[12]; uint8 qs[128] }: eight sub-blocks of 32 weights, each with a 6-bit scale and a
 * 6-bit min; weight = d · scale · q − dmin · min. Every 32 bytes of qs hold two sub-blocks: low nibbles, high nibbles.
 */
const q4_k: DequantizeBlock = (source, at, out, to) => withMinima(source, at, out, to, at + 16, () => 0)

/** { half d, dmin; uint8 scales[12]; uint8 qh[32]; uint8 qs[128] }: as Q4_K; bit j of qh[i] is the fifth of sub-block j's weight i */
const q5_k: DequantizeBlock = (source, at, out, to) =>
  withMinima(source, at, out, to, at + 48, (sub, i) => (source.getUint8(at + 16 + i) >> sub) & 1)

/** Q4_K and Q5_K. @param fifthOf the fifth bit of a sub-block's weight i */
function withMinima(
  source: DataView,
  at: number,
  out: Float32Array,
  to: number,
  quants: number,
  fifthOf: (sub: number, i: number) => number,
): void {
  const d = half(source, at)
  const dmin = half(source, at + 2)
  for (let sub = 0; sub < 8; sub++) {
    const { scale, min } = scaleAndMin(source, at + 4, sub)
    const qs = quants + (sub >> 1) * 32
    const shift = (sub & 1) * 4
    for (let i = 0; i < 32; i++) {
      const q = ((source.getUint8(qs + i) >> shift) & 15) | (fifthOf(sub, i) << 4)
      out[to + sub * 32 + i] = d * scale * q - dmin * min
    }
  }
}

/**
 * The 6-bit scale and min of sub-block j, from 12 bytes: bytes 0–3 and 4–7 hold those of sub-blocks 0–3 in their low six
 * bits; bytes 8–11 hold the low four bits of sub-blocks 4–7 (scale, min), whose high two are the top bits of 0–7.
 */
function scaleAndMin(source: DataView, at: number, j: number): { scale: number; min: number } {
  const byte = (i: number) => source.getUint8(at + i)
  if (j < 4) return { scale: byte(j) & 63, min: byte(j + 4) & 63 }
  return {
    scale: (byte(j + 4) & 15) | ((byte(j - 4) >> 6) << 4),
    min: (byte(j + 4) >> 4) | ((byte(j) >> 6) << 4),
  }
}

/**
 * { uint8 ql[128]; uint8 qh[64]; int8 scales[16]; half d }: sixteen sub-blocks of 16 weights; weight =
 * d · scale · (q − 32). Each half of 128 weights takes 64 bytes of ql (low four bits; weights 0–63 in the low nibbles,
 * 64–127 in the high ones) and 32 bytes of qh (high two bits of weights i, i + 32, i + 64, i + 96).
 */
const q6_k: DequantizeBlock = (source, at, out, to) => {
  const d = half(source, at + 208)
  for (let i = 0; i < 256; i++) {
    const side = i >> 7
    const quarter = (i >> 5) & 3
    const ql = source.getUint8(at + side * 64 + (i & 63))
    const qh = source.getUint8(at + 128 + side * 32 + (i & 31))
    const low = (ql >> ((quarter >> 1) * 4)) & 15
    const high = (qh >> (quarter * 2)) & 3
    const scale = source.getInt8(at + 192 + (i >> 4))
    out[to + i] = d * scale * ((low | (high << 4)) - 32)
  }
}

const dequantizers: Readonly<Record<WeightType, DequantizeBlock>> = {
  F32: f32,
  F16: f16,
  Q8_0: q8_0,
  Q4_0: q4_0,
  Q5_0: q5_0,
  Q4_K: q4_k,
  Q5_K: q5_k,
  Q6_K: q6_k,
}
