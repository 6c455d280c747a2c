// Tiles for more than one token: eight rows of unpacked weights times four tokens.
//
// A panel holds some columns of one group, unpacked once for all tokens, small enough for the first cache:
//   bytes   block of 32: eight steps of (rows 0–3, rows 4–7), 16 bytes each; an i32 lane is a row with four weights
//   shorts  the same, each step as (even bytes of rows 0–3, of rows 4–7, odd bytes of rows 0–3, of rows 4–7)
//   floats  for every column the weights of rows 0 … 7
//
// Between two scales products are summed as integers. With sums in 16 bits, one more multiplication of pairs widens and
// scales them at once, so scales are integers there too, each row of the panel with a factor of its own (asIntegers).

import { madd, relaxed, shortSums } from './lanes'

/** What one tile reads and where it adds. Strides are bytes from token to token. */
@unmanaged
export class Tile {
  panel: usize
  /** For every block, or half block, rows 0 … 7: f32, or two equal i16 per row. */
  panelScales: usize
  /** Rows 0 … 7, f32: what the integer scales count. */
  factors: usize
  /** Blocks of the panel; columns if weights are floats. */
  blocks: i32
  /** Scales per block: 1, or 2 for half blocks. */
  perBlock: i32
  /** First column of the panel, first token: int8, int16 or f32. */
  x: usize
  stride: usize
  scales: usize
  scaleStride: usize
  /** Where each product starts (activations.ts): startStep bytes from scale to scale. */
  starts: usize
  startStride: usize
  startStep: usize
  /** (4, 8) f32: room for a tile's own sums */
  sums: usize
  /** (tokens, 8) f32: what the tile adds to */
  out: usize
}

/** Weights as W, i8 or i16, times x as the same. */
export function tile<W>(t: Tile): void {
  const stride = t.stride
  const scaleStride = t.scaleStride
  const startStride = t.startStride
  const startStep = t.startStep
  const sums = t.sums
  const halved = t.perBlock == 2
  // bytes of a panel between two scales
  const span: usize = (halved ? 128 : 256) * sizeof<W>()
  let panel = t.panel
  let scales = t.panelScales
  let x = t.x
  let xs = t.scales
  let start = t.starts
  memory.fill(sums, 0, 128)
  for (let left = t.blocks * t.perBlock; left > 0; left--) {
    let a0 = v128.load32_splat(start)
    let a1 = a0
    let a2 = v128.load32_splat(start + startStride)
    let a3 = a2
    let a4 = v128.load32_splat(start + startStride * 2)
    let a5 = a4
    let a6 = v128.load32_splat(start + startStride * 3)
    let a7 = a6
    // two steps at once: as much as fits in sixteen registers
    for (const end = panel + span; panel < end; panel += 64) {
      const w0 = v128.load(panel)
      const w1 = v128.load(panel, 16)
      const w2 = v128.load(panel, 32)
      const w3 = v128.load(panel, 48)
      let p = x
      const x0 = v128.load32_splat(p)
      const y0 = v128.load32_splat(p, 4)
      a0 = dot<W>(dot<W>(a0, x0, w0), y0, w2)
      a1 = dot<W>(dot<W>(a1, x0, w1), y0, w3)
      p += stride
      const x1 = v128.load32_splat(p)
      const y1 = v128.load32_splat(p, 4)
      a2 = dot<W>(dot<W>(a2, x1, w0), y1, w2)
      a3 = dot<W>(dot<W>(a3, x1, w1), y1, w3)
      p += stride
      const x2 = v128.load32_splat(p)
      const y2 = v128.load32_splat(p, 4)
      a4 = dot<W>(dot<W>(a4, x2, w0), y2, w2)
      a5 = dot<W>(dot<W>(a5, x2, w1), y2, w3)
      p += stride
      const x3 = v128.load32_splat(p)
      const y3 = v128.load32_splat(p, 4)
      a6 = dot<W>(dot<W>(a6, x3, w0), y3, w2)
      a7 = dot<W>(dot<W>(a7, x3, w1), y3, w3)
      x += 8
    }
    const s0 = v128.load(scales)
    const s1 = v128.load(scales, 16)
    fold<W>(sums, a0, a1, s0, s1, xs)
    fold<W>(sums + 32, a2, a3, s0, s1, xs + scaleStride)
    fold<W>(sums + 64, a4, a5, s0, s1, xs + scaleStride * 2)
    fold<W>(sums + 96, a6, a7, s0, s1, xs + scaleStride * 3)
    scales += 32
    start += startStep
    if (!halved || left & 1) xs += 4
  }
  const f0 = v128.load(t.factors)
  const f1 = v128.load(t.factors, 16)
  for (let i: usize = 0; i < 128; i += 32) {
    const out = t.out + i
    v128.store(out, madd(v128.load(sums + i), f0, v128.load(out)))
    v128.store(out, madd(v128.load(sums + i, 16), f1, v128.load(out, 16)), 16)
  }
}

/** Four bytes of each row, or two shorts, times as many of x. */
function dot<W>(sum: v128, x: v128, w: v128): v128 {
  if (sizeof<W>() == 2 || !relaxed) return i32x4.add(sum, i32x4.dot_i16x8_s(x, w))
  if (shortSums) return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(x, w))
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, sum)
}

/** Rows 0–3 and 4–7 of one token, between two scales. */
function fold<W>(out: usize, a0: v128, a1: v128, s0: v128, s1: v128, xs: usize): void {
  const scale = v128.load32_splat(xs)
  const b0 = sizeof<W>() == 1 && shortSums ? scaledPairs(a0, s0) : f32x4.mul(f32x4.convert_i32x4_s(a0), s0)
  const b1 = sizeof<W>() == 1 && shortSums ? scaledPairs(a1, s1) : f32x4.mul(f32x4.convert_i32x4_s(a1), s1)
  v128.store(out, madd(b0, scale, v128.load(out)))
  v128.store(out, madd(b1, scale, v128.load(out, 16)), 16)
}

/** At most 2 · 32512 · 32767, a half block of 6-bit weights with the largest scale: below 2^31. */
function scaledPairs(sums: v128, scales: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(sums, scales))
}

/**
 * Makes the f32 scales of a panel what its tiles want: for bytes with sums in 16 bits, integers of 15 bits beside the largest scale of the row: an
 * error of 2^-16 of it, where bytes of x have 2^-8.
 */
export function asIntegers(scales: usize, count: i32, factors: usize, areBytes: bool): void {
  v128.store(factors, f32x4.splat(1))
  v128.store(factors, f32x4.splat(1), 16)
  if (!shortSums || !areBytes) return
  const end = scales + ((<usize>count) << 5)
  for (let half: usize = 0; half < 32; half += 16) {
    let largest = f32x4.splat(1e-36)
    for (let p = scales + half; p < end; p += 32) largest = f32x4.max(largest, f32x4.abs(v128.load(p)))
    v128.store(factors + half, f32x4.div(largest, f32x4.splat(32767)))
    const inverse = f32x4.div(f32x4.splat(32767), largest)
    for (let p = scales + half; p < end; p += 32) {
      const s = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(p), inverse)))
      v128.store(p, v128.or(v128.and(s, i32x4.splat(0xffff)), i32x4.shl(s, 16)))
    }
  }
}

/** Weights and x as f32. */
export function tileFloats(t: Tile): void {
  const stride = t.stride
  const out = t.out
  let panel = t.panel
  let x = t.x
  let a0 = v128.load(out)
  let a1 = v128.load(out, 16)
  let a2 = v128.load(out, 32)
  let a3 = v128.load(out, 48)
  let a4 = v128.load(out, 64)
  let a5 = v128.load(out, 80)
  let a6 = v128.load(out, 96)
  let a7 = v128.load(out, 112)
  for (const end = panel + ((<usize>t.blocks) << 5); panel < end; panel += 32) {
    const w0 = v128.load(panel)
    const w1 = v128.load(panel, 16)
    let p = x
    const x0 = v128.load32_splat(p)
    a0 = madd(x0, w0, a0)
    a1 = madd(x0, w1, a1)
    p += stride
    const x1 = v128.load32_splat(p)
    a2 = madd(x1, w0, a2)
    a3 = madd(x1, w1, a3)
    p += stride
    const x2 = v128.load32_splat(p)
    a4 = madd(x2, w0, a4)
    a5 = madd(x2, w1, a5)
    p += stride
    const x3 = v128.load32_splat(p)
    a6 = madd(x3, w0, a6)
    a7 = madd(x3, w1, a7)
    x += 4
  }
  v128.store(out, a0)
  v128.store(out, a1, 16)
  v128.store(out, a2, 32)
  v128.store(out, a3, 48)
  v128.store(out, a4, 64)
  v128.store(out, a5, 80)
  v128.store(out, a6, 96)
  v128.store(out, a7, 112)
}
