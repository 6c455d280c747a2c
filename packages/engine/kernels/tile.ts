// Tiles for more than one token: eight rows of unpacked weights times four tokens, or one.
//
// A panel holds some columns of one group, unpacked once for all tokens, small enough for the first cache:
//   bytes   block of 32: eight steps of (rows 0–3, rows 4–7), 16 bytes each; an i32 lane is a row with four weights
//   shorts  the same, each step as (even bytes of rows 0–3, of rows 4–7, odd bytes of rows 0–3, of rows 4–7)
//   floats  for every column the weights of rows 0 … 7
// with scales (and minima) as f32 for every block: rows 0 … 7.
//
// Results are added to sums (token, 8), f32.

import { madd, shortSums } from './lanes'

/** What one tile reads of x and where it adds. */
@unmanaged
export class Tile {
  /** First column of the panel, first token: int8, int16 or f32. */
  x: usize
  /** Bytes from token to token. */
  stride: usize
  scales: usize
  sums: usize
  scaleStride: usize
  halves: usize
  /** (tokens, 8) */
  out: usize
  panel: usize
  panelScales: usize
  /** 0: none */
  panelMinima: usize
  blocks: i32
}

/** 4-bit weights as bytes 0…15. */
export function tileNibbles(t: Tile, tokens: i32): void {
  let panel = t.panel,
    scales = t.panelScales,
    minima = t.panelMinima
  let x = t.x,
    xs = t.scales,
    sum = t.sums
  const stride = t.stride,
    scaleStride = t.scaleStride,
    out = t.out
  for (let b = 0; b < t.blocks; b++) {
    const sc0 = v128.load(scales),
      sc1 = v128.load(scales, 16)
    const mn0 = v128.load(minima),
      mn1 = v128.load(minima, 16)
    let a0 = i32x4.splat(0),
      a1 = a0
    if (tokens == 4) {
      let a2 = a0,
        a3 = a0,
        a4 = a0,
        a5 = a0,
        a6 = a0,
        a7 = a0
      for (const end = panel + 256; panel < end; panel += 32) {
        const w0 = v128.load(panel),
          w1 = v128.load(panel, 16)
        let p = x,
          v = v128.load32_splat(p)
        a0 = dot(a0, v, w0)
        a1 = dot(a1, v, w1)
        p += stride
        v = v128.load32_splat(p)
        a2 = dot(a2, v, w0)
        a3 = dot(a3, v, w1)
        p += stride
        v = v128.load32_splat(p)
        a4 = dot(a4, v, w0)
        a5 = dot(a5, v, w1)
        p += stride
        v = v128.load32_splat(p)
        a6 = dot(a6, v, w0)
        a7 = dot(a7, v, w1)
        x += 4
      }
      foldMinima(out, widened(a0), widened(a1), sc0, sc1, mn0, mn1, xs, sum)
      foldMinima(out + 32, widened(a2), widened(a3), sc0, sc1, mn0, mn1, xs + scaleStride, sum + scaleStride)
      foldMinima(
        out + 64,
        widened(a4),
        widened(a5),
        sc0,
        sc1,
        mn0,
        mn1,
        xs + scaleStride * 2,
        sum + scaleStride * 2,
      )
      foldMinima(
        out + 96,
        widened(a6),
        widened(a7),
        sc0,
        sc1,
        mn0,
        mn1,
        xs + scaleStride * 3,
        sum + scaleStride * 3,
      )
    } else {
      for (const end = panel + 256; panel < end; panel += 32) {
        const v = v128.load32_splat(x)
        a0 = dot(a0, v, v128.load(panel))
        a1 = dot(a1, v, v128.load(panel, 16))
        x += 4
      }
      foldMinima(out, widened(a0), widened(a1), sc0, sc1, mn0, mn1, xs, sum)
    }
    scales += 32
    minima += 32
    xs += 4
    sum += 4
  }
}

/** Eight of these stay below 2^15 for 4-bit weights. */
function dot(sum: v128, x: v128, w: v128): v128 {
  if (shortSums) return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(x, w))
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, sum)
}

function widened(sum: v128): v128 {
  return shortSums ? i32x4.extadd_pairwise_i16x8_s(sum) : sum
}

function fold(out: usize, a0: v128, a1: v128, sc0: v128, sc1: v128, xs: usize): void {
  const scale = v128.load32_splat(xs)
  v128.store(out, madd(f32x4.mul(f32x4.convert_i32x4_s(a0), scale), sc0, v128.load(out)))
  v128.store(out, madd(f32x4.mul(f32x4.convert_i32x4_s(a1), scale), sc1, v128.load(out, 16)), 16)
}

function foldMinima(
  out: usize,
  a0: v128,
  a1: v128,
  sc0: v128,
  sc1: v128,
  mn0: v128,
  mn1: v128,
  xs: usize,
  sum: usize,
): void {
  const s = v128.load32_splat(sum),
    scale = v128.load32_splat(xs)
  v128.store(out, madd(f32x4.mul(f32x4.convert_i32x4_s(a0), scale), sc0, madd(mn0, s, v128.load(out))))
  v128.store(
    out,
    madd(f32x4.mul(f32x4.convert_i32x4_s(a1), scale), sc1, madd(mn1, s, v128.load(out, 16))),
    16,
  )
}

/** 6-bit weights as bytes 0…63, a scale for every 16. */
export function tileSixBits(t: Tile, tokens: i32): void {
  let panel = t.panel,
    scales = t.panelScales
  let x = t.x,
    xs = t.scales,
    halves = t.halves
  const stride = t.stride,
    scaleStride = t.scaleStride,
    out = t.out
  for (let h = 0; h < t.blocks * 2; h++) {
    const sc0 = v128.load(scales),
      sc1 = v128.load(scales, 16)
    let a0 = i32x4.splat(0),
      a1 = a0
    if (tokens == 4) {
      let a2 = a0,
        a3 = a0,
        a4 = a0,
        a5 = a0,
        a6 = a0,
        a7 = a0
      for (const end = panel + 128; panel < end; panel += 64) {
        let p = x
        a0 = dotTwice(a0, p, panel)
        a1 = dotTwice(a1, p, panel + 16)
        p += stride
        a2 = dotTwice(a2, p, panel)
        a3 = dotTwice(a3, p, panel + 16)
        p += stride
        a4 = dotTwice(a4, p, panel)
        a5 = dotTwice(a5, p, panel + 16)
        p += stride
        a6 = dotTwice(a6, p, panel)
        a7 = dotTwice(a7, p, panel + 16)
        x += 8
      }
      const halfStride = scaleStride * 2
      foldHalf(out, a0, a1, sc0, sc1, xs, halves)
      foldHalf(out + 32, a2, a3, sc0, sc1, xs + scaleStride, halves + halfStride)
      foldHalf(out + 64, a4, a5, sc0, sc1, xs + scaleStride * 2, halves + halfStride * 2)
      foldHalf(out + 96, a6, a7, sc0, sc1, xs + scaleStride * 3, halves + halfStride * 3)
    } else {
      for (const end = panel + 128; panel < end; panel += 64) {
        a0 = dotTwice(a0, x, panel)
        a1 = dotTwice(a1, x, panel + 16)
        x += 8
      }
      foldHalf(out, a0, a1, sc0, sc1, xs, halves)
    }
    scales += 32
    halves += 4
    if (h & 1) xs += 4
  }
}

/** Two steps: in 16 bits two of them fit, three do not. */
function dotTwice(sum: v128, x: usize, w: usize): v128 {
  const x0 = v128.load32_splat(x),
    x1 = v128.load32_splat(x, 4)
  const w0 = v128.load(w),
    w1 = v128.load(w, 32)
  if (shortSums) {
    const s = i16x8.add(i16x8.relaxed_dot_i8x16_i7x16_s(x0, w0), i16x8.relaxed_dot_i8x16_i7x16_s(x1, w1))
    return i32x4.add(sum, i32x4.extadd_pairwise_i16x8_s(s))
  }
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(x1, w1, i32x4.relaxed_dot_i8x16_i7x16_add_s(x0, w0, sum))
}

function foldHalf(out: usize, a0: v128, a1: v128, sc0: v128, sc1: v128, xs: usize, half: usize): void {
  const h = v128.load32_splat(half)
  fold(out, i32x4.sub(a0, h), i32x4.sub(a1, h), sc0, sc1, xs)
}

/** Weights as 16-bit integers; a scale for every `span` steps of four columns: 8, or 4 for half blocks. */
export function tileShorts(t: Tile, tokens: i32, span: i32): void {
  let panel = t.panel,
    scales = t.panelScales,
    minima = t.panelMinima
  let x = t.x,
    xs = t.scales,
    sum = t.sums
  const stride = t.stride,
    scaleStride = t.scaleStride,
    out = t.out
  const bytes = (<usize>span) << 6
  let spans = span == 8 ? t.blocks : t.blocks * 2
  for (; spans > 0; spans--) {
    const sc0 = v128.load(scales),
      sc1 = v128.load(scales, 16)
    let a0 = i32x4.splat(0),
      a1 = a0
    if (tokens == 4) {
      let a2 = a0,
        a3 = a0,
        a4 = a0,
        a5 = a0,
        a6 = a0,
        a7 = a0
      for (const end = panel + bytes; panel < end; panel += 32) {
        const w0 = v128.load(panel),
          w1 = v128.load(panel, 16)
        let p = x,
          v = v128.load32_splat(p)
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(v, w0))
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(v, w1))
        p += stride
        v = v128.load32_splat(p)
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(v, w0))
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(v, w1))
        p += stride
        v = v128.load32_splat(p)
        a4 = i32x4.add(a4, i32x4.dot_i16x8_s(v, w0))
        a5 = i32x4.add(a5, i32x4.dot_i16x8_s(v, w1))
        p += stride
        v = v128.load32_splat(p)
        a6 = i32x4.add(a6, i32x4.dot_i16x8_s(v, w0))
        a7 = i32x4.add(a7, i32x4.dot_i16x8_s(v, w1))
        x += 4
      }
      fold(out, a0, a1, sc0, sc1, xs)
      fold(out + 32, a2, a3, sc0, sc1, xs + scaleStride)
      fold(out + 64, a4, a5, sc0, sc1, xs + scaleStride * 2)
      fold(out + 96, a6, a7, sc0, sc1, xs + scaleStride * 3)
    } else {
      for (const end = panel + bytes; panel < end; panel += 32) {
        const v = v128.load32_splat(x)
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(v, v128.load(panel)))
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(v, v128.load(panel, 16)))
        x += 4
      }
      fold(out, a0, a1, sc0, sc1, xs)
    }
    if (minima) {
      for (let token = 0; token < tokens; token++) {
        const to = out + <usize>token * 32
        const s = v128.load32_splat(sum + <usize>token * scaleStride)
        v128.store(to, madd(v128.load(minima), s, v128.load(to)))
        v128.store(to, madd(v128.load(minima, 16), s, v128.load(to, 16)), 16)
      }
      minima += 32
    }
    scales += 32
    if (span == 8 || spans & 1) {
      xs += 4
      sum += 4
    }
  }
}

/** Weights and x as f32; blocks counts columns. */
export function tileFloats(t: Tile, tokens: i32): void {
  let panel = t.panel,
    x = t.x
  const stride = t.stride,
    out = t.out
  const end = panel + ((<usize>t.blocks) << 5)
  let a0 = v128.load(out),
    a1 = v128.load(out, 16)
  if (tokens == 4) {
    let a2 = v128.load(out, 32),
      a3 = v128.load(out, 48),
      a4 = v128.load(out, 64),
      a5 = v128.load(out, 80)
    let a6 = v128.load(out, 96),
      a7 = v128.load(out, 112)
    for (; panel < end; panel += 32) {
      const w0 = v128.load(panel),
        w1 = v128.load(panel, 16)
      let p = x,
        v = v128.load32_splat(p)
      a0 = madd(v, w0, a0)
      a1 = madd(v, w1, a1)
      p += stride
      v = v128.load32_splat(p)
      a2 = madd(v, w0, a2)
      a3 = madd(v, w1, a3)
      p += stride
      v = v128.load32_splat(p)
      a4 = madd(v, w0, a4)
      a5 = madd(v, w1, a5)
      p += stride
      v = v128.load32_splat(p)
      a6 = madd(v, w0, a6)
      a7 = madd(v, w1, a7)
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
      const v = v128.load32_splat(x)
      a0 = madd(v, v128.load(panel), a0)
      a1 = madd(v, v128.load(panel, 16), a1)
      x += 4
    }
  }
  v128.store(out, a0)
  v128.store(out, a1, 16)
}
