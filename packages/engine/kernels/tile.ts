// Tiles for more than one token: eight rows of unpacked weights times four tokens, or one.
//
// A panel holds some columns of one group, unpacked once for all tokens, small enough for the first cache:
//   bytes   block of 32: eight steps of (rows 0–3, rows 4–7), 16 bytes each; an i32 lane is a row with four weights
//   shorts  the same, each step as (even bytes of rows 0–3, of rows 4–7, odd bytes of rows 0–3, of rows 4–7)
//   floats  for every column the weights of rows 0 … 7
// with scales (and minima) as f32 for every block or half block: rows 0 … 7.

import { madd, relaxed, shortSums } from './lanes'

/** What one tile reads and where it adds. Strides are bytes from token to token. */
@unmanaged
export class Tile {
  panel: usize
  panelScales: usize
  /** 0: none */
  panelMinima: usize
  /** Blocks of the panel; columns if weights are floats. */
  blocks: i32
  /** Scales per block: 1, or 2 for half blocks. */
  perBlock: i32
  /** First column of the panel, first token: int8, int16 or f32. */
  x: usize
  stride: usize
  scales: usize
  sums: usize
  scaleStride: usize
  /** Where each product starts (activations.ts), perBlock of them per block; 0: at zero. */
  starts: usize
  startStride: usize
  /** (tokens, 8) f32: what the tile adds to */
  out: usize
}

/** Weights as W, i8 or i16, times x as the same. */
export function tile<W>(t: Tile, tokens: i32): void {
  const stride = t.stride
  const scaleStride = t.scaleStride
  const startStride = t.startStride
  const out = t.out
  const halved = t.perBlock == 2
  // bytes of a panel between two scales
  const span: usize = (halved ? 128 : 256) * sizeof<W>()
  let panel = t.panel
  let scales = t.panelScales
  let minima = t.panelMinima
  let x = t.x
  let xs = t.scales
  let sum = t.sums
  let start = t.starts
  for (let left = t.blocks * t.perBlock; left > 0; left--) {
    let a0 = startAt(start)
    let a1 = a0
    const end = panel + span
    if (tokens == 4) {
      let a2 = startAt(start ? start + startStride : 0)
      let a3 = a2
      let a4 = startAt(start ? start + startStride * 2 : 0)
      let a5 = a4
      let a6 = startAt(start ? start + startStride * 3 : 0)
      let a7 = a6
      for (; panel < end; panel += 32) {
        const w0 = v128.load(panel)
        const w1 = v128.load(panel, 16)
        let p = x
        const x0 = v128.load32_splat(p)
        a0 = dot<W>(a0, x0, w0)
        a1 = dot<W>(a1, x0, w1)
        p += stride
        const x1 = v128.load32_splat(p)
        a2 = dot<W>(a2, x1, w0)
        a3 = dot<W>(a3, x1, w1)
        p += stride
        const x2 = v128.load32_splat(p)
        a4 = dot<W>(a4, x2, w0)
        a5 = dot<W>(a5, x2, w1)
        p += stride
        const x3 = v128.load32_splat(p)
        a6 = dot<W>(a6, x3, w0)
        a7 = dot<W>(a7, x3, w1)
        x += 4
      }
      fold<W>(out, a0, a1, scales, xs)
      fold<W>(out + 32, a2, a3, scales, xs + scaleStride)
      fold<W>(out + 64, a4, a5, scales, xs + scaleStride * 2)
      fold<W>(out + 96, a6, a7, scales, xs + scaleStride * 3)
    } else {
      for (; panel < end; panel += 32) {
        const x0 = v128.load32_splat(x)
        a0 = dot<W>(a0, x0, v128.load(panel))
        a1 = dot<W>(a1, x0, v128.load(panel, 16))
        x += 4
      }
      fold<W>(out, a0, a1, scales, xs)
    }
    if (minima) {
      subtract(out, tokens, minima, sum, scaleStride)
      minima += 32
    }
    scales += 32
    if (start) start += 4
    if (!halved || left & 1) {
      xs += 4
      sum += 4
    }
  }
}

function startAt(start: usize): v128 {
  return start ? v128.load32_splat(start) : i32x4.splat(0)
}

/** Four bytes of each row, or two shorts, times as many of x. */
function dot<W>(sum: v128, x: v128, w: v128): v128 {
  if (sizeof<W>() == 2 || !relaxed) return i32x4.add(sum, i32x4.dot_i16x8_s(x, w))
  if (shortSums) return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(x, w))
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, sum)
}

/** Rows 0–3 and 4–7 of one token, between two scales. */
function fold<W>(out: usize, a0: v128, a1: v128, scales: usize, xs: usize): void {
  if (sizeof<W>() == 1 && shortSums) {
    a0 = i32x4.extadd_pairwise_i16x8_s(a0)
    a1 = i32x4.extadd_pairwise_i16x8_s(a1)
  }
  const scale = v128.load32_splat(xs)
  v128.store(out, madd(f32x4.mul(f32x4.convert_i32x4_s(a0), scale), v128.load(scales), v128.load(out)))
  v128.store(
    out,
    madd(f32x4.mul(f32x4.convert_i32x4_s(a1), scale), v128.load(scales, 16), v128.load(out, 16)),
    16,
  )
}

/** Q4_K's minima, times the sum of x over the block. */
function subtract(out: usize, tokens: i32, minima: usize, sum: usize, stride: usize): void {
  const m0 = v128.load(minima)
  const m1 = v128.load(minima, 16)
  for (const end = out + ((<usize>tokens) << 5); out < end; out += 32) {
    const s = v128.load32_splat(sum)
    v128.store(out, madd(m0, s, v128.load(out)))
    v128.store(out, madd(m1, s, v128.load(out, 16)), 16)
    sum += stride
  }
}

/** Weights and x as f32. */
export function tileFloats(t: Tile, tokens: i32): void {
  const stride = t.stride
  const out = t.out
  let panel = t.panel
  let x = t.x
  const end = panel + ((<usize>t.blocks) << 5)
  let a0 = v128.load(out)
  let a1 = v128.load(out, 16)
  if (tokens == 4) {
    let a2 = v128.load(out, 32)
    let a3 = v128.load(out, 48)
    let a4 = v128.load(out, 64)
    let a5 = v128.load(out, 80)
    let a6 = v128.load(out, 96)
    let a7 = v128.load(out, 112)
    for (; panel < end; panel += 32) {
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
    v128.store(out, a2, 32)
    v128.store(out, a3, 48)
    v128.store(out, a4, 64)
    v128.store(out, a5, 80)
    v128.store(out, a6, 96)
    v128.store(out, a7, 112)
  } else {
    for (; panel < end; panel += 32) {
      const x0 = v128.load32_splat(x)
      a0 = madd(x0, v128.load(panel), a0)
      a1 = madd(x0, v128.load(panel, 16), a1)
      x += 4
    }
  }
  v128.store(out, a0)
  v128.store(out, a1, 16)
}
