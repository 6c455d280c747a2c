// 6-bit weights: Q6_K, in groups of eight rows.
//
// Block of 256 (1680 bytes): d, 8 × f16 · scales (16 half blocks, 8 rows), i8 · 8 blocks of 32.
// Block (8 rows × 32 weights, 192 bytes): low nibbles as in q4.ts, 128 bytes · two steps of (rows 0–3, rows 4–7) with
// the upper two bits. In step h a byte holds those of step q = 2h of the nibbles in bits 4–5 (low) and 6–7 (high), and
// those of q = 2h + 1 in bits 0–1 (low) and 2–3 (high): each is one shift away from bits 4–5, where it belongs.
//
// w = d · scale · (q - 32). Weights stay unsigned; 32 times the sum of x over a half block is subtracted.

import { Activations } from './activations'
import { f16At, f16High, f16Low, madd, relaxed, scaledHigh, scaledLow, shortSums } from './lanes'

export const Q6_K_BYTES: usize = 1680

/** out (groups · 8) = W · x */
export function dotQ6_K(weights: usize, groups: i32, a: Activations, out: usize): void {
  const supers = a.cols >> 8
  let p = weights
  for (let g = 0; g < groups; g++) {
    let f0 = f32x4.splat(0)
    let f1 = f32x4.splat(0)
    let x = relaxed ? a.bytes : a.shorts
    let scale = relaxed ? a.scales : a.shortScales
    let half = a.halves
    for (let s = 0; s < supers; s++) {
      const d = v128.load(p)
      let scales = p + 16
      let g0 = f32x4.splat(0)
      let g1 = f32x4.splat(0)
      p += 144
      for (const end = scales + 128; scales < end; scales += 16) {
        // rows 0–3 and 4–7, weights 0–15 and 16–31
        let l0 = v128.load32_splat(half)
        let h0 = v128.load32_splat(half, 4)
        let l1 = l0
        let h1 = h0
        let upper = p + 128
        for (const end = upper; p < end; p += 64) {
          const u0 = v128.load(upper)
          const w0 = v128.load(p)
          const w1 = v128.load(p, 32)
          l0 = twoSteps(l0, low0(w0, u0), low1(w1, u0), x)
          h0 = twoSteps(h0, high0(w0, u0), high1(w1, u0), x + HALF_X)
          const u1 = v128.load(upper, 16)
          const w2 = v128.load(p, 16)
          const w3 = v128.load(p, 48)
          l1 = twoSteps(l1, low0(w2, u1), low1(w3, u1), x)
          h1 = twoSteps(h1, high0(w2, u1), high1(w3, u1), x + HALF_X)
          upper += 32
          x += STEP_X * 2
        }
        p += 64
        x += HALF_X
        const xs = v128.load32_splat(scale)
        const low = v128.load_ext<i8>(scales)
        const high = v128.load_ext<i8>(scales, 8)
        const s0 = i32x4.add(scaledLow(l0, low), scaledLow(h0, high))
        const s1 = i32x4.add(scaledHigh(l1, low), scaledHigh(h1, high))
        g0 = madd(f32x4.convert_i32x4_s(s0), xs, g0)
        g1 = madd(f32x4.convert_i32x4_s(s1), xs, g1)
        scale += 4
        half += 8
      }
      f0 = madd(f16Low(d), g0, f0)
      f1 = madd(f16High(d), g1, f1)
    }
    v128.store(out, f0)
    v128.store(out, f1, 16)
    out += 32
  }
}

/** Bytes of x per step and per half block. */
const STEP_X: usize = relaxed ? 4 : 8
const HALF_X: usize = STEP_X * 4

function low0(w: v128, u: v128): v128 {
  return v128.or(v128.and(w, i8x16.splat(15)), v128.and(u, i8x16.splat(0x30)))
}
function low1(w: v128, u: v128): v128 {
  return v128.or(v128.and(w, i8x16.splat(15)), v128.and(i16x8.shl(u, 4), i8x16.splat(0x30)))
}
function high0(w: v128, u: v128): v128 {
  return v128.or(v128.and(i16x8.shr_u(w, 4), i8x16.splat(15)), v128.and(i16x8.shr_u(u, 2), i8x16.splat(0x30)))
}
function high1(w: v128, u: v128): v128 {
  return v128.or(v128.and(i16x8.shr_u(w, 4), i8x16.splat(15)), v128.and(i16x8.shl(u, 2), i8x16.splat(0x30)))
}

/** Adds two steps of bytes 0…63 times x. */
function twoSteps(sum: v128, w0: v128, w1: v128, x: usize): v128 {
  if (!relaxed) return i32x4.add(sum, i32x4.add(bytesTimesShorts(w0, x), bytesTimesShorts(w1, x + STEP_X)))
  const x0 = v128.load32_splat(x)
  const x1 = v128.load32_splat(x, STEP_X)
  if (shortSums) {
    const s0 = i16x8.relaxed_dot_i8x16_i7x16_s(x0, w0)
    return i16x8.add(sum, i16x8.add(s0, i16x8.relaxed_dot_i8x16_i7x16_s(x1, w1)))
  }
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(x1, w1, i32x4.relaxed_dot_i8x16_i7x16_add_s(x0, w0, sum))
}

function bytesTimesShorts(w: v128, x: usize): v128 {
  const even = i32x4.dot_i16x8_s(v128.and(w, i16x8.splat(0xff)), v128.load32_splat(x))
  return i32x4.add(even, i32x4.dot_i16x8_s(i16x8.shr_u(w, 8), v128.load32_splat(x, 4)))
}

/** Unpacks columns [block · 32, (block + count) · 32) for the tiles: 0…63, as bytes or 16-bit integers. */
export function unpackQ6_K(group: usize, block: i32, count: i32, panel: usize, scales: usize): void {
  for (let b = block; b < block + count; b++) {
    const p = group + <usize>(b >> 3) * Q6_K_BYTES,
      inSuper = <usize>(b & 7)
    const d = v128.load(p)
    for (let half: usize = 0; half < 2; half++) {
      const sc = v128.load_ext<i8>(p + 16 + inSuper * 16 + half * 8)
      v128.store(scales, f32x4.mul(f16Low(d), f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(sc))))
      v128.store(scales, f32x4.mul(f16High(d), f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(sc))), 16)
      scales += 32
    }
    const q = p + 144 + inSuper * 192
    for (let rows: usize = 0; rows < 32; rows += 16) {
      for (let h: usize = 0; h < 2; h++) {
        const w0 = v128.load(q + h * 64 + rows),
          w1 = v128.load(q + h * 64 + rows, 32)
        const upper = v128.load(q + h * 32 + rows, 128)
        unpackStep(panel, h * 2, rows, low0(w0, upper))
        unpackStep(panel, h * 2 + 1, rows, low1(w1, upper))
        unpackStep(panel, h * 2 + 4, rows, high0(w0, upper))
        unpackStep(panel, h * 2 + 5, rows, high1(w1, upper))
      }
    }
    panel += relaxed ? 256 : 512
  }
}

function unpackStep(panel: usize, step: usize, rows: usize, w: v128): void {
  if (relaxed) {
    v128.store(panel + step * 32 + rows, w)
  } else {
    const to = panel + step * 64 + rows
    v128.store(to, v128.and(w, i16x8.splat(0xff)))
    v128.store(to, i16x8.shr_u(w, 8), 32)
  }
}

/** out (cols) = row `row` of a group, 0 ≤ row < 8 */
export function rowQ6_K(group: usize, row: usize, cols: i32, out: usize): void {
  for (let k = 0; k < cols; k++) {
    const p = group + <usize>(k >> 8) * Q6_K_BYTES
    const scale = f16At(p + row * 2) * <f32>load<i8>(p + <usize>((k >> 4) & 15) * 8 + row, 16)
    const block = p + 144 + <usize>((k >> 5) & 7) * 192
    const q = (k >> 2) & 3,
      at = row * 4 + <usize>(k & 3)
    const nibbles = <i32>load<u8>(block + <usize>q * 32 + at)
    const upper = <i32>load<u8>(block + 128 + <usize>(q >> 1) * 32 + at)
    const high = (k >> 4) & 1
    const low4 = high ? nibbles >> 4 : nibbles & 15
    const upper2 = (upper >> ((q & 1 ? 0 : 4) + high * 2)) & 3
    store<f32>(out + ((<usize>k) << 2), scale * <f32>((low4 | (upper2 << 4)) - 32))
  }
}
