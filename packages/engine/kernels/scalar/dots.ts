// One token times groups of eight packed rows, without SIMD. The layouts are drawn in q4.ts, q5.ts, q6.ts, q8.ts and float.ts.
//
// 64 bits of a step hold four weights of each of two rows. As unsigned bytes they meet x two rows at a time (pairs.ts);
// what is subtracted from each weight is subtracted once, by starting at that much times the sum of x.

import { Activations } from '../activations'
import { f16At } from '../lanes'
import { both, fourOfTwo, lower, upper } from './pairs'

/** Adds a block's sums for rows `row` and `row` + 1 to out, each times its scale. */
function addPair(out: usize, row: usize, sums: i64, scale0: f32, scale1: f32): void {
  const at = out + (row << 2)
  store<f32>(at, load<f32>(at) + <f32>lower(sums) * scale0)
  store<f32>(at, load<f32>(at, 4) + <f32>upper(sums) * scale1, 4)
}

const NIBBLES: i64 = 0x0f0f0f0f_0f0f0f0f

/** A block of two rows with 4-bit weights times x, `start` added. */
function nibbles(block: usize, x: usize, start: i64): i64 {
  let sums = start
  for (let q: usize = 0; q < 4; q++) {
    const w = load<i64>(block + q * 32)
    sums += fourOfTwo(w & NIBBLES, x + q * 8) + fourOfTwo((w >>> 4) & NIBBLES, x + q * 8 + 32)
  }
  return sums
}

/** out (groups · 8) = W · x */
export function dotQ4_0(weights: usize, groups: i32, a: Activations, out: usize): void {
  const blocks = <usize>(a.cols >> 5)
  let p = weights
  for (let g = 0; g < groups; g++) {
    memory.fill(out, 0, 32)
    for (let b: usize = 0; b < blocks; b++) {
      const x = a.shorts + (b << 6)
      const scale = load<f32>(a.shortScales + (b << 2))
      const start = both(load<i32>(a.eights + (b << 2)))
      for (let row: usize = 0; row < 8; row += 2) {
        const d = p + row * 2
        addPair(out, row, nibbles(p + 16 + row * 4, x, start), scale * f16At(d), scale * f16At(d + 2))
      }
      p += 144
    }
    out += 32
  }
}

/** out (groups · 8) = W · x */
export function dotQ4_K(weights: usize, groups: i32, a: Activations, out: usize): void {
  dotWithMinima(weights, groups, a, out, 128, false)
}

/** out (groups · 8) = W · x */
export function dotQ5_K(weights: usize, groups: i32, a: Activations, out: usize): void {
  dotWithMinima(weights, groups, a, out, 160, true)
}

/** Q4_K and Q5_K: eight blocks of so many bytes behind 160 bytes of scales and minima. */
function dotWithMinima(
  weights: usize,
  groups: i32,
  a: Activations,
  out: usize,
  blockBytes: usize,
  isFive: bool,
): void {
  const blocks = <usize>(a.cols >> 5)
  let p = weights
  for (let g = 0; g < groups; g++) {
    memory.fill(out, 0, 32)
    for (let b: usize = 0; b < blocks; b++) {
      const x = a.shorts + (b << 6)
      const block = p + 160 + (b & 7) * blockBytes
      for (let row: usize = 0; row < 8; row += 2) {
        const at = block + row * 4
        addWithMinima(out, row, isFive ? fiveBits(at, x, 0) : nibbles(at, x, 0), p, a, b)
      }
      if ((b & 7) == 7) p += 160 + 8 * blockBytes
    }
    out += 32
  }
}

/** Adds block `b` of Q4_K or Q5_K for rows `row` and `row` + 1, whose scales lie at p. */
function addWithMinima(out: usize, row: usize, sums: i64, p: usize, a: Activations, b: usize): void {
  const scale = load<f32>(a.shortScales + (b << 2))
  const sum = load<f32>(a.sums + (b << 2))
  const d = p + row * 2
  const scales = p + (b & 7) * 8 + row
  const scale0 = scale * f16At(d) * <f32>load<u8>(scales, 32)
  const scale1 = scale * f16At(d + 2) * <f32>load<u8>(scales, 33)
  addPair(out, row, sums, scale0, scale1)
  const at = out + (row << 2)
  store<f32>(at, load<f32>(at) - sum * f16At(d + 16) * <f32>load<u8>(scales, 96))
  store<f32>(at, load<f32>(at, 4) - sum * f16At(d + 18) * <f32>load<u8>(scales, 97), 4)
}

const FIVE_BITS: i64 = 0x1f1f1f1f_1f1f1f1f
const THREE_BITS: i64 = 0x07070707_07070707

/** A block of two rows with 5-bit weights times x, `start` added: five steps, three more in their upper bits. */
function fiveBits(block: usize, x: usize, start: i64): i64 {
  let sums = start
  for (let q: usize = 0; q < 5; q++) sums += fourOfTwo(load<i64>(block + q * 32) & FIVE_BITS, x + q * 8)
  const u1 = (load<i64>(block, 32) >>> 5) & THREE_BITS
  const u3 = (load<i64>(block, 96) >>> 5) & THREE_BITS
  const w5 = ((load<i64>(block) >>> 5) & THREE_BITS) | ((u1 << 3) & FIVE_BITS)
  const w6 = ((load<i64>(block, 64) >>> 5) & THREE_BITS) | ((u3 << 3) & FIVE_BITS)
  const w7 =
    ((load<i64>(block, 128) >>> 5) & THREE_BITS) |
    ((u1 << 1) & 0x08080808_08080808) |
    ((u3 << 2) & 0x10101010_10101010)
  return sums + fourOfTwo(w5, x + 40) + fourOfTwo(w6, x + 48) + fourOfTwo(w7, x + 56)
}

/** out (groups · 8) = W · x */
export function dotQ5_0(weights: usize, groups: i32, a: Activations, out: usize): void {
  const blocks = <usize>(a.cols >> 5)
  let p = weights
  for (let g = 0; g < groups; g++) {
    memory.fill(out, 0, 32)
    for (let b: usize = 0; b < blocks; b++) {
      const x = a.shorts + (b << 6)
      const scale = load<f32>(a.shortScales + (b << 2))
      const start = both(2 * load<i32>(a.eights + (b << 2)))
      for (let row: usize = 0; row < 8; row += 2) {
        const d = p + row * 2
        addPair(out, row, fiveBits(p + 16 + row * 4, x, start), scale * f16At(d), scale * f16At(d + 2))
      }
      p += 176
    }
    out += 32
  }
}

const SIX_BITS: i64 = 0x3f3f3f3f_3f3f3f3f

/** A half block of two rows with 6-bit weights times x, `start` added: three steps, the fourth in their upper bits. */
function sixBits(half: usize, x: usize, start: i64): i64 {
  const w0 = load<i64>(half)
  const w1 = load<i64>(half, 32)
  const w2 = load<i64>(half, 64)
  const w3 =
    (((w0 >>> 6) & 0x03ff03ff_03ff03ff) ^
      ((w1 >>> 4) & 0x0fff0fff_0fff0fff) ^
      ((w2 >>> 2) & 0x3fff3fff_3fff3fff)) &
    SIX_BITS
  const firstTwo = fourOfTwo(w0 & SIX_BITS, x) + fourOfTwo(w1 & SIX_BITS, x + 8)
  return start + firstTwo + fourOfTwo(w2 & SIX_BITS, x + 16) + fourOfTwo(w3, x + 24)
}

/** out (groups · 8) = W · x */
export function dotQ6_K(weights: usize, groups: i32, a: Activations, out: usize): void {
  const halves = <usize>(a.cols >> 4)
  let p = weights
  for (let g = 0; g < groups; g++) {
    memory.fill(out, 0, 32)
    for (let h: usize = 0; h < halves; h++) {
      const x = a.shorts + (h << 5)
      const scale = load<f32>(a.shortScales + ((h >> 1) << 2))
      const start = both(load<i32>(a.halves + (h << 2)))
      const inSuper = h & 15
      for (let row: usize = 0; row < 8; row += 2) {
        const d = p + row * 2
        const scales = p + inSuper * 8 + row
        const sums = sixBits(p + 144 + inSuper * 96 + row * 4, x, start)
        const scale0 = scale * f16At(d) * <f32>load<i8>(scales, 16)
        const scale1 = scale * f16At(d + 2) * <f32>load<i8>(scales, 17)
        addPair(out, row, sums, scale0, scale1)
      }
      if (inSuper == 15) p += 1680
    }
    out += 32
  }
}

/** Turns signed bytes into unsigned ones, greater by 128. */
const SIGNS: i64 = 0x80808080_80808080

/** out (groups · 8) = W · x */
export function dotQ8_0(weights: usize, groups: i32, a: Activations, out: usize): void {
  const blocks = <usize>(a.cols >> 5)
  let p = weights
  for (let g = 0; g < groups; g++) {
    memory.fill(out, 0, 32)
    for (let b: usize = 0; b < blocks; b++) {
      const x = a.shorts + (b << 6)
      const scale = load<f32>(a.shortScales + (b << 2))
      const start = both(16 * load<i32>(a.eights + (b << 2)))
      for (let row: usize = 0; row < 8; row += 2) {
        const d = p + row * 2
        let sums = start
        for (let q: usize = 0; q < 8; q++) {
          sums += fourOfTwo(load<i64>(p + 16 + row * 4 + q * 32) ^ SIGNS, x + q * 8)
        }
        addPair(out, row, sums, scale * f16At(d), scale * f16At(d + 2))
      }
      p += 272
    }
    out += 32
  }
}

/** out (groups · 8) = W · x, in f32, for weights of f32, or of f16 if W is u16 */
export function dotFloats<W>(weights: usize, groups: i32, a: Activations, out: usize): void {
  const bytes = <usize>a.cols * 8 * sizeof<W>()
  for (let g = 0; g < groups; g++) {
    fourRows<W>(weights, a, out)
    fourRows<W>(weights + 4 * sizeof<W>(), a, out + 16)
    weights += bytes
    out += 32
  }
}

function fourRows<W>(weights: usize, a: Activations, out: usize): void {
  let p = weights
  let f0: f32 = 0
  let f1: f32 = 0
  let f2: f32 = 0
  let f3: f32 = 0
  for (let x = a.x, end = x + ((<usize>a.cols) << 2); x < end; x += 4) {
    const value = load<f32>(x)
    f0 += weightAt<W>(p) * value
    f1 += weightAt<W>(p + sizeof<W>()) * value
    f2 += weightAt<W>(p + sizeof<W>() * 2) * value
    f3 += weightAt<W>(p + sizeof<W>() * 3) * value
    p += sizeof<W>() * 8
  }
  store<f32>(out, f0)
  store<f32>(out, f1, 4)
  store<f32>(out, f2, 8)
  store<f32>(out, f3, 12)
}

function weightAt<W>(p: usize): f32 {
  return sizeof<W>() == 2 ? f16At(p) : load<f32>(p)
}
