// Tiles for more than one token: eight rows of unpacked weights times four tokens.
//
// A panel holds some columns of one group, unpacked once for all tokens, small enough for the first cache:
//   bytes   block of 32: eight steps of (rows 0–3, rows 4–7), 16 bytes each; an i32 lane is a row with four weights
//   shorts  the same, each step as (even bytes of rows 0–3, of rows 4–7, odd bytes of rows 0–3, of rows 4–7)
//   floats  for every column the weights of rows 0 … 7
//
// Between two scales products are summed as integers. With sums in 16 bits, one more multiplication of pairs widens and
// scales them at once, so scales are integers there too, each row of the panel with a factor of its own (asIntegers). A lane has
// two such sums. With 4 bits they have room for two blocks, one each, scaled and added by the same multiplication (joinBlocks).

import { JOINT_BYTES, JOINT_STARTS, PAIR_RANGE, PANEL_COLS, ROUNDING, rounded } from './activations'
import { highHalves, lowHalves, madd, relaxed, shortSums } from './lanes'

/** What one tile reads and where it adds. Of x, words of four tokens take turns (activations.ts). */
@unmanaged
export class Tile {
  panel: usize
  /** For every fold rows 0 … 7: f32, or two i16 per row: equal, or of two joined blocks. */
  panelScales: usize
  /** Rows 0 … 7, f32: what the integer scales count. */
  factors: usize
  /** How often integer sums are scaled, and bytes of the panel between two of those. Columns if weights are floats. */
  folds: i32
  span: usize
  /** First column of the panel, first token: int8, int16 or f32. */
  x: usize
  /** Of x from token to token, if weights are floats. */
  stride: usize
  /** Of x, or {@link Activations.joints}; and whether two folds share one: 1 or 2. */
  scales: usize
  perScale: i32
  /** Where the sums of each fold start (activations.ts), if not at zero. */
  starts: usize
  /** (4, 8) f32: room for a tile's own sums */
  sums: usize
  /** (tokens, 8) f32: what the tile adds to */
  out: usize
}

/**
 * Weights as W, i8 or i16, times x as the same. S: u32 if sums start somewhere, void if they start at zero. J: u32 if blocks are
 * joined, else void.
 */
export function tile<W, S, J>(t: Tile): void {
  const sums = t.sums
  const rest = t.span - 128
  const halved = t.perScale == 2
  let panel = t.panel
  let scales = t.panelScales
  let x = t.x
  let xs = t.scales
  let start = isVoid<J>() ? t.starts : xs + JOINT_STARTS
  memory.fill(sums, 0, 128)
  for (let left = t.folds; left > 0; left--) {
    // Two steps at once are as much as fits in sixteen registers; four in a row make a loop's own work rare. What is added to
    // x outside of a load costs one instruction for four of them, inside one for each.
    const xa = x
    const ya = x + 16
    const wa0 = v128.load(panel)
    const wa1 = v128.load(panel, 16)
    const wa2 = v128.load(panel, 32)
    const wa3 = v128.load(panel, 48)
    const xa0 = v128.load32_splat(xa)
    const ya0 = v128.load32_splat(ya)
    let a0 = dot<W>(from<W, S>(start, 0, xa0, wa0), ya0, wa2)
    let a1 = dot<W>(from<W, S>(start, 0, xa0, wa1), ya0, wa3)
    const xa1 = v128.load32_splat(xa, 4)
    const ya1 = v128.load32_splat(ya, 4)
    let a2 = dot<W>(from<W, S>(start, 4, xa1, wa0), ya1, wa2)
    let a3 = dot<W>(from<W, S>(start, 4, xa1, wa1), ya1, wa3)
    const xa2 = v128.load32_splat(xa, 8)
    const ya2 = v128.load32_splat(ya, 8)
    let a4 = dot<W>(from<W, S>(start, 8, xa2, wa0), ya2, wa2)
    let a5 = dot<W>(from<W, S>(start, 8, xa2, wa1), ya2, wa3)
    const xa3 = v128.load32_splat(xa, 12)
    const ya3 = v128.load32_splat(ya, 12)
    let a6 = dot<W>(from<W, S>(start, 12, xa3, wa0), ya3, wa2)
    let a7 = dot<W>(from<W, S>(start, 12, xa3, wa1), ya3, wa3)
    const xb = x + 32
    const yb = x + 48
    const wb0 = v128.load(panel, 64)
    const wb1 = v128.load(panel, 80)
    const wb2 = v128.load(panel, 96)
    const wb3 = v128.load(panel, 112)
    const xb0 = v128.load32_splat(xb)
    const yb0 = v128.load32_splat(yb)
    a0 = dot<W>(dot<W>(a0, xb0, wb0), yb0, wb2)
    a1 = dot<W>(dot<W>(a1, xb0, wb1), yb0, wb3)
    const xb1 = v128.load32_splat(xb, 4)
    const yb1 = v128.load32_splat(yb, 4)
    a2 = dot<W>(dot<W>(a2, xb1, wb0), yb1, wb2)
    a3 = dot<W>(dot<W>(a3, xb1, wb1), yb1, wb3)
    const xb2 = v128.load32_splat(xb, 8)
    const yb2 = v128.load32_splat(yb, 8)
    a4 = dot<W>(dot<W>(a4, xb2, wb0), yb2, wb2)
    a5 = dot<W>(dot<W>(a5, xb2, wb1), yb2, wb3)
    const xb3 = v128.load32_splat(xb, 12)
    const yb3 = v128.load32_splat(yb, 12)
    a6 = dot<W>(dot<W>(a6, xb3, wb0), yb3, wb2)
    a7 = dot<W>(dot<W>(a7, xb3, wb1), yb3, wb3)
    x += 64
    panel += 128
    for (const end = panel + rest; panel < end; panel += 128) {
      const xc = x
      const yc = x + 16
      const wc0 = v128.load(panel)
      const wc1 = v128.load(panel, 16)
      const wc2 = v128.load(panel, 32)
      const wc3 = v128.load(panel, 48)
      const xc0 = v128.load32_splat(xc)
      const yc0 = v128.load32_splat(yc)
      a0 = dot<W>(dot<W>(a0, xc0, wc0), yc0, wc2)
      a1 = dot<W>(dot<W>(a1, xc0, wc1), yc0, wc3)
      const xc1 = v128.load32_splat(xc, 4)
      const yc1 = v128.load32_splat(yc, 4)
      a2 = dot<W>(dot<W>(a2, xc1, wc0), yc1, wc2)
      a3 = dot<W>(dot<W>(a3, xc1, wc1), yc1, wc3)
      const xc2 = v128.load32_splat(xc, 8)
      const yc2 = v128.load32_splat(yc, 8)
      a4 = dot<W>(dot<W>(a4, xc2, wc0), yc2, wc2)
      a5 = dot<W>(dot<W>(a5, xc2, wc1), yc2, wc3)
      const xc3 = v128.load32_splat(xc, 12)
      const yc3 = v128.load32_splat(yc, 12)
      a6 = dot<W>(dot<W>(a6, xc3, wc0), yc3, wc2)
      a7 = dot<W>(dot<W>(a7, xc3, wc1), yc3, wc3)
      const xd = x + 32
      const yd = x + 48
      const wd0 = v128.load(panel, 64)
      const wd1 = v128.load(panel, 80)
      const wd2 = v128.load(panel, 96)
      const wd3 = v128.load(panel, 112)
      const xd0 = v128.load32_splat(xd)
      const yd0 = v128.load32_splat(yd)
      a0 = dot<W>(dot<W>(a0, xd0, wd0), yd0, wd2)
      a1 = dot<W>(dot<W>(a1, xd0, wd1), yd0, wd3)
      const xd1 = v128.load32_splat(xd, 4)
      const yd1 = v128.load32_splat(yd, 4)
      a2 = dot<W>(dot<W>(a2, xd1, wd0), yd1, wd2)
      a3 = dot<W>(dot<W>(a3, xd1, wd1), yd1, wd3)
      const xd2 = v128.load32_splat(xd, 8)
      const yd2 = v128.load32_splat(yd, 8)
      a4 = dot<W>(dot<W>(a4, xd2, wd0), yd2, wd2)
      a5 = dot<W>(dot<W>(a5, xd2, wd1), yd2, wd3)
      const xd3 = v128.load32_splat(xd, 12)
      const yd3 = v128.load32_splat(yd, 12)
      a6 = dot<W>(dot<W>(a6, xd3, wd0), yd3, wd2)
      a7 = dot<W>(dot<W>(a7, xd3, wd1), yd3, wd3)
      x += 64
    }
    const s0 = v128.load(scales)
    const s1 = v128.load(scales, 16)
    fold<W>(sums, a0, a1, s0, s1, v128.load32_splat(xs))
    fold<W>(sums + 32, a2, a3, s0, s1, v128.load32_splat(xs, 4))
    fold<W>(sums + 64, a4, a5, s0, s1, v128.load32_splat(xs, 8))
    fold<W>(sums + 96, a6, a7, s0, s1, v128.load32_splat(xs, 12))
    scales += 32
    if (!isVoid<S>()) start += isVoid<J>() ? 16 : JOINT_BYTES
    if (!isVoid<J>()) xs += JOINT_BYTES
    else if (!halved || left & 1) xs += 16
  }
  const f0 = v128.load(t.factors)
  const f1 = v128.load(t.factors, 16)
  for (let i: usize = 0; i < 128; i += 32) {
    const out = t.out + i
    v128.store(out, madd(v128.load(sums + i), f0, v128.load(out)))
    v128.store(out, madd(v128.load(sums + i, 16), f1, v128.load(out, 16)), 16)
  }
}

/** The first product of a sum, which starts at the word `token` bytes behind `start` if sums do. */
function from<W, S>(start: usize, token: usize, x: v128, w: v128): v128 {
  if (!isVoid<S>()) return dot<W>(v128.load32_splat(start + token), x, w)
  if (sizeof<W>() == 2 || !relaxed) return i32x4.dot_i16x8_s(x, w)
  if (shortSums) return i16x8.relaxed_dot_i8x16_i7x16_s(x, w)
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, i32x4.splat(0))
}

/** Four bytes of each row, or two shorts, times as many of x. */
function dot<W>(sum: v128, x: v128, w: v128): v128 {
  if (sizeof<W>() == 2 || !relaxed) return i32x4.add(sum, i32x4.dot_i16x8_s(x, w))
  if (shortSums) return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(x, w))
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, sum)
}

/** Rows 0–3 and 4–7 of one token, between two scales. */
function fold<W>(out: usize, a0: v128, a1: v128, s0: v128, s1: v128, scale: v128): void {
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
 * Blocks of a panel, bytes → two neighbouring ones in each lane: in the place of the first the first two bytes of each of its words
 * beside the first two of the second, in the place of the second the last two. What lies behind a last block without a
 * neighbour meets zeros of x.
 */
export function joinBlocks(panel: usize, blocks: i32): void {
  for (const end = panel + ((<usize>blocks) << 8); panel < end; panel += 512) {
    for (let p = panel; p < panel + 256; p += 16) {
      const first = v128.load(p)
      const second = v128.load(p, 256)
      v128.store(p, lowHalves(first, second))
      v128.store(p, highHalves(first, second), 256)
    }
  }
}

/**
 * Makes the f32 scales of a panel what its tiles want: for bytes with sums in 16 bits, integers of 15 bits beside the largest scale of the row: an
 * error of 2^-16 of it, where bytes of x have 2^-8.
 *
 * @param joined each two neighbours for one fold, the last with zero if it has none
 */
export function asIntegers(scales: usize, count: i32, factors: usize, areBytes: bool, joined: bool): void {
  v128.store(factors, f32x4.splat(1))
  v128.store(factors, f32x4.splat(1), 16)
  if (!shortSums || !areBytes) return
  const end = scales + ((<usize>count) << 5)
  const large = f32x4.splat(ROUNDING)
  const apart: usize = joined ? 32 : 0
  if (joined) memory.fill(end, 0, 32)
  for (let half: usize = 0; half < 32; half += 16) {
    let largest = f32x4.splat(1e-36)
    for (let p = scales + half; p < end; p += 32) largest = f32x4.pmax(largest, f32x4.abs(v128.load(p)))
    v128.store(factors + half, f32x4.div(largest, f32x4.splat(32767)))
    const inverse = f32x4.div(f32x4.splat(32767), largest)
    let to = scales + half
    for (let p = to; p < end; p += 32 + apart) {
      const first = rounded(v128.load(p), inverse, large)
      const second = rounded(v128.load(p + apart), inverse, large)
      v128.store(to, lowHalves(first, second))
      to += 32
    }
  }
}

/**
 * The f32 minima (blocks, 8) of a panel as pairs of integers for its tiles, those of two blocks in a lane, with 13 bits beside
 * the largest of the row, whose worth goes to `factors`. What a panel has less than others is zero.
 */
export function asPairs(minima: usize, blocks: i32, pairs: usize, factors: usize): void {
  const end = minima + ((<usize>blocks) << 5)
  memory.fill(pairs, 0, <usize>PANEL_COLS >> 1)
  const large = f32x4.splat(ROUNDING)
  for (let half: usize = 0; half < 32; half += 16) {
    let largest = f32x4.splat(1e-36)
    for (let p = minima + half; p < end; p += 32) largest = f32x4.pmax(largest, f32x4.abs(v128.load(p)))
    v128.store(factors + half, f32x4.div(largest, f32x4.splat(PAIR_RANGE)))
    const inverse = f32x4.div(f32x4.splat(PAIR_RANGE), largest)
    let to = pairs + half
    for (let p = minima + half; p < end; p += 64) {
      const even = rounded(v128.load(p), inverse, large)
      const odd = rounded(v128.load(p, 32), inverse, large)
      v128.store(to, v128.or(v128.and(even, i32x4.splat(0xffff)), i32x4.shl(odd, 16)))
      to += 32
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
  for (const end = panel + ((<usize>t.folds) << 5); panel < end; panel += 32) {
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
