// 4-bit weights: Q4_0 and Q4_K, in groups of eight rows.
//
// Block (8 rows × 32 weights, 128 bytes): four steps of (rows 0–3, rows 4–7), 16 bytes each. An i32 lane is a row. In
// step q the low nibbles of its four bytes are weights 4q … 4q + 3, the high nibbles weights 16 + 4q … 16 + 4q + 3.
//
// Q4_0 block (144 bytes): d, 8 × f16 · block.              w = d · (q - 8)
// Q4_K block of 256 (1184 bytes): d, 8 × f16 · dmin, 8 × f16 · scales (8 blocks, 8 rows), u8 · minima, the same ·
//   8 blocks.                                              w = d · scale · q - dmin · minimum
//
// The weights stay unsigned; what is subtracted from each is subtracted once, times the sum of x over the block.

import { Activations, PANEL_COLS, panelsOf } from './activations'
import {
  F16_KEPT,
  F16_LACKS,
  F16_LEAST,
  addScaled,
  dotBytes,
  f16At,
  f16High,
  f16Low,
  madd,
  relaxed,
  scaledHigh,
  scaledLow,
  shortSums,
  total,
} from './lanes'

export const Q4_0_BYTES: usize = 144
export const Q4_K_BYTES: usize = 1184

/** out (groups · 8) = W · x */
export function dotQ4_0(weights: usize, groups: i32, a: Activations, out: usize): void {
  const blocks = a.cols >> 5
  const nibbles = relaxed ? i8x16.splat(15) : i16x8.splat(15)
  const kept = i16x8.splat(F16_KEPT)
  const lacks = i16x8.splat(F16_LACKS)
  const least = i32x4.splat(F16_LEAST)
  let p = weights
  for (let g = 0; g < groups; g++) {
    let f0 = f32x4.splat(0)
    let f1 = f32x4.splat(0)
    let x = relaxed ? a.bytes : a.shorts
    let scale = relaxed ? a.scales : a.shortScales
    let start = a.eights
    for (let b = 0; b < blocks; b++) {
      const d = v128.load(p)
      let s0 = v128.load32_splat(start)
      let s1 = s0
      p += 16
      for (const end = p + STEPS; p < end; p += 32) {
        const low = lowX(x)
        const high = highX(x)
        s0 = step(s0, v128.load(p), low, high, x, nibbles)
        s1 = step(s1, v128.load(p, 16), low, high, x, nibbles)
        x += STEP_X
      }
      x += HALF_X
      const xs = v128.load32_splat(scale)
      f0 = madd(f32x4.mul(f32x4.convert_i32x4_s(total(s0)), xs), f16Low(d, kept, lacks, least), f0)
      f1 = madd(f32x4.mul(f32x4.convert_i32x4_s(total(s1)), xs), f16High(d, kept, lacks, least), f1)
      scale += 4
      start += 4
    }
    v128.store(out, f0)
    v128.store(out, f1, 16)
    out += 32
  }
}

/** out (groups · 8) = W · x */
export function dotQ4_K(weights: usize, groups: i32, a: Activations, out: usize): void {
  const supers = a.cols >> 8
  const nibbles = relaxed ? i8x16.splat(15) : i16x8.splat(15)
  const kept = i16x8.splat(F16_KEPT)
  const lacks = i16x8.splat(F16_LACKS)
  const least = i32x4.splat(F16_LEAST)
  let p = weights
  for (let g = 0; g < groups; g++) {
    let f0 = f32x4.splat(0)
    let f1 = f32x4.splat(0)
    let x = relaxed ? a.bytes : a.shorts
    let scale = relaxed ? a.scales : a.shortScales
    let pair = a.pairs
    for (let s = 0; s < supers; s++) {
      let scales = p + 32
      let g0 = f32x4.splat(0)
      let g1 = f32x4.splat(0)
      p += 160
      for (const end = scales + 64; scales < end; scales += 8) {
        // without a loop, which would cost as much as the masks of a step
        let low = lowX(x)
        let high = highX(x)
        let s0 = firstStep(v128.load(p), low, high, x, nibbles)
        let s1 = firstStep(v128.load(p, 16), low, high, x, nibbles)
        x += STEP_X
        low = lowX(x)
        high = highX(x)
        s0 = step(s0, v128.load(p, 32), low, high, x, nibbles)
        s1 = step(s1, v128.load(p, 48), low, high, x, nibbles)
        x += STEP_X
        low = lowX(x)
        high = highX(x)
        s0 = step(s0, v128.load(p, 64), low, high, x, nibbles)
        s1 = step(s1, v128.load(p, 80), low, high, x, nibbles)
        x += STEP_X
        low = lowX(x)
        high = highX(x)
        s0 = step(s0, v128.load(p, 96), low, high, x, nibbles)
        s1 = step(s1, v128.load(p, 112), low, high, x, nibbles)
        p += STEPS
        x += STEP_X + HALF_X
        const sc = v128.load_ext<u8>(scales)
        const xs = v128.load32_splat(scale)
        g0 = madd(f32x4.convert_i32x4_s(scaledLow(s0, sc)), xs, g0)
        g1 = madd(f32x4.convert_i32x4_s(scaledHigh(s1, sc)), xs, g1)
        scale += 4
      }
      let m0 = i32x4.splat(0)
      let m1 = i32x4.splat(0)
      for (let minima = scales, end = minima + 64; minima < end; minima += 16) {
        const xsums = v128.load32_splat(pair)
        const even = v128.load_ext<u8>(minima)
        const odd = v128.load_ext<u8>(minima, 8)
        m0 = i32x4.add(m0, i32x4.dot_i16x8_s(pairsLow(even, odd), xsums))
        m1 = i32x4.add(m1, i32x4.dot_i16x8_s(pairsHigh(even, odd), xsums))
        pair += 4
      }
      const d = v128.load(scales - 96)
      const dmin = v128.load(scales - 80)
      const xs = v128.load32_splat(a.pairScales + pairScaleOf(s))
      f0 = lessMinima(f0, f16Low(d, kept, lacks, least), g0, f16Low(dmin, kept, lacks, least), m0, xs)
      f1 = lessMinima(f1, f16High(d, kept, lacks, least), g1, f16High(dmin, kept, lacks, least), m1, xs)
    }
    v128.store(out, f0)
    v128.store(out, f1, 16)
    out += 32
  }
}

/**
 * out (4, 8) = one group of W · x, for the token of `a` and the three behind it: what is unpacked meets all four. To the bit what
 * {@link dotQ4_0} says of each. With relaxed dot products only.
 */
export function fourQ4_0(weights: usize, a: Activations, out: usize): void {
  const nibbles = i8x16.splat(15)
  const kept = i16x8.splat(F16_KEPT)
  const lacks = i16x8.splat(F16_LACKS)
  const least = i32x4.splat(F16_LEAST)
  const stride = <usize>a.cols
  const next = (stride >> 5) << 2
  let p = weights
  let x = a.bytes
  let scale = a.scales
  let start = a.eights
  memory.fill(out, 0, 128)
  for (const end = scale + next; scale < end; scale += 4) {
    const d = v128.load(p)
    let a0 = v128.load32_splat(start)
    let a1 = a0
    let a2 = v128.load32_splat(start + next)
    let a3 = a2
    let a4 = v128.load32_splat(start + next * 2)
    let a5 = a4
    let a6 = v128.load32_splat(start + next * 3)
    let a7 = a6
    p += 16
    for (const end = p + STEPS; p < end; p += 32) {
      const low = v128.load(p)
      const high = v128.load(p, 16)
      const w0 = v128.and(low, nibbles)
      const w1 = v128.and(high, nibbles)
      const w2 = v128.and(i16x8.shr_u(low, 4), nibbles)
      const w3 = v128.and(i16x8.shr_u(high, 4), nibbles)
      let q = x
      const x0 = v128.load32_splat(q)
      const y0 = v128.load32_splat(q, 16)
      a0 = dotBytes(dotBytes(a0, x0, w0), y0, w2)
      a1 = dotBytes(dotBytes(a1, x0, w1), y0, w3)
      q += stride
      const x1 = v128.load32_splat(q)
      const y1 = v128.load32_splat(q, 16)
      a2 = dotBytes(dotBytes(a2, x1, w0), y1, w2)
      a3 = dotBytes(dotBytes(a3, x1, w1), y1, w3)
      q += stride
      const x2 = v128.load32_splat(q)
      const y2 = v128.load32_splat(q, 16)
      a4 = dotBytes(dotBytes(a4, x2, w0), y2, w2)
      a5 = dotBytes(dotBytes(a5, x2, w1), y2, w3)
      q += stride
      const x3 = v128.load32_splat(q)
      const y3 = v128.load32_splat(q, 16)
      a6 = dotBytes(dotBytes(a6, x3, w0), y3, w2)
      a7 = dotBytes(dotBytes(a7, x3, w1), y3, w3)
      x += 4
    }
    x += 16
    const d0 = f16Low(d, kept, lacks, least)
    const d1 = f16High(d, kept, lacks, least)
    addBlock(out, a0, a1, d0, d1, v128.load32_splat(scale))
    addBlock(out + 32, a2, a3, d0, d1, v128.load32_splat(scale + next))
    addBlock(out + 64, a4, a5, d0, d1, v128.load32_splat(scale + next * 2))
    addBlock(out + 96, a6, a7, d0, d1, v128.load32_splat(scale + next * 3))
    start += 4
  }
}

function addBlock(out: usize, s0: v128, s1: v128, d0: v128, d1: v128, xs: v128): void {
  v128.store(out, madd(f32x4.mul(f32x4.convert_i32x4_s(total(s0)), xs), d0, v128.load(out)))
  v128.store(out, madd(f32x4.mul(f32x4.convert_i32x4_s(total(s1)), xs), d1, v128.load(out, 16)), 16)
}

/** The same of {@link dotQ4_K}. @param room 128 bytes: sums of four tokens */
export function fourQ4_K(weights: usize, a: Activations, out: usize, room: usize): void {
  const nibbles = i8x16.splat(15)
  const stride = <usize>a.cols
  const next = (stride >> 5) << 2
  const nextScale = (<usize>panelsOf(a.cols)) << 2
  let p = weights
  let x = a.bytes
  let scale = a.scales
  let pair = a.pairs
  let supers = 0
  memory.fill(out, 0, 128)
  for (const end = scale + next; scale < end;) {
    let scales = p + 32
    p += 160
    memory.fill(room, 0, 128)
    for (const end = scales + 64; scales < end; scales += 8) {
      let a0 = i32x4.splat(0)
      let a1 = a0
      let a2 = a0
      let a3 = a0
      let a4 = a0
      let a5 = a0
      let a6 = a0
      let a7 = a0
      for (const end = p + STEPS; p < end; p += 32) {
        const low = v128.load(p)
        const high = v128.load(p, 16)
        const w0 = v128.and(low, nibbles)
        const w1 = v128.and(high, nibbles)
        const w2 = v128.and(i16x8.shr_u(low, 4), nibbles)
        const w3 = v128.and(i16x8.shr_u(high, 4), nibbles)
        let q = x
        const x0 = v128.load32_splat(q)
        const y0 = v128.load32_splat(q, 16)
        a0 = dotBytes(dotBytes(a0, x0, w0), y0, w2)
        a1 = dotBytes(dotBytes(a1, x0, w1), y0, w3)
        q += stride
        const x1 = v128.load32_splat(q)
        const y1 = v128.load32_splat(q, 16)
        a2 = dotBytes(dotBytes(a2, x1, w0), y1, w2)
        a3 = dotBytes(dotBytes(a3, x1, w1), y1, w3)
        q += stride
        const x2 = v128.load32_splat(q)
        const y2 = v128.load32_splat(q, 16)
        a4 = dotBytes(dotBytes(a4, x2, w0), y2, w2)
        a5 = dotBytes(dotBytes(a5, x2, w1), y2, w3)
        q += stride
        const x3 = v128.load32_splat(q)
        const y3 = v128.load32_splat(q, 16)
        a6 = dotBytes(dotBytes(a6, x3, w0), y3, w2)
        a7 = dotBytes(dotBytes(a7, x3, w1), y3, w3)
        x += 4
      }
      x += 16
      const sc = v128.load_ext<u8>(scales)
      addScaled(room, a0, a1, sc, v128.load32_splat(scale))
      addScaled(room + 32, a2, a3, sc, v128.load32_splat(scale + next))
      addScaled(room + 64, a4, a5, sc, v128.load32_splat(scale + next * 2))
      addScaled(room + 96, a6, a7, sc, v128.load32_splat(scale + next * 3))
      scale += 4
    }
    const d = v128.load(scales - 96)
    const dmin = v128.load(scales - 80)
    const d0 = f16Low(d)
    const d1 = f16High(d)
    const dmin0 = f16Low(dmin)
    const dmin1 = f16High(dmin)
    let pairs = pair
    let pairScale = a.pairScales + pairScaleOf(supers++)
    let to = out
    for (let from = room, end = room + 128; from < end; from += 32) {
      let m0 = i32x4.splat(0)
      let m1 = i32x4.splat(0)
      for (let i: usize = 0; i < 4; i++) {
        const xsums = v128.load32_splat(pairs + (i << 2))
        const even = v128.load_ext<u8>(scales + (i << 4))
        const odd = v128.load_ext<u8>(scales + (i << 4), 8)
        m0 = i32x4.add(m0, i32x4.dot_i16x8_s(pairsLow(even, odd), xsums))
        m1 = i32x4.add(m1, i32x4.dot_i16x8_s(pairsHigh(even, odd), xsums))
      }
      const xs = v128.load32_splat(pairScale)
      v128.store(to, lessMinima(v128.load(to), d0, v128.load(from), dmin0, m0, xs))
      v128.store(to, lessMinima(v128.load(to, 16), d1, v128.load(from, 16), dmin1, m1, xs), 16)
      pairs += next >> 1
      pairScale += nextScale
      to += 32
    }
    pair += 16
  }
}

/** Where a block of 256 has what its {@link Activations.pairs} count. */
function pairScaleOf(index: i32): usize {
  return (<usize>index / (PANEL_COLS >> 8)) << 2
}

/** Minima of two blocks, in pairs: rows 0–3. */
function pairsLow(even: v128, odd: v128): v128 {
  return v128.shuffle<i16>(even, odd, 0, 8, 1, 9, 2, 10, 3, 11)
}

/** Rows 4–7. */
function pairsHigh(even: v128, odd: v128): v128 {
  return v128.shuffle<i16>(even, odd, 4, 12, 5, 13, 6, 14, 7, 15)
}

/** Adds d times the sum of a block of 256 less its minima, which count `dmin` times what pairs of sums count. */
function lessMinima(f: v128, d: v128, sum: v128, dmin: v128, minima: v128, xs: v128): v128 {
  return f32x4.sub(madd(d, sum, f), f32x4.mul(f32x4.mul(dmin, xs), f32x4.convert_i32x4_s(minima)))
}

/** Bytes of a block's steps; of x per step; and of the second half block of x, which goes with the high nibbles. */
const STEPS: usize = 128
const STEP_X: usize = relaxed ? 4 : 8
const HALF_X: usize = STEP_X * 4

function lowX(x: usize): v128 {
  return v128.load32_splat(x)
}

function highX(x: usize): v128 {
  return v128.load32_splat(x, HALF_X)
}

/**
 * Adds four rows' weights of a step times x: `low` for the low nibbles, `high` for the high ones. A block's eight sums of two
 * products up to 15 · 127 stay below 2^15.
 */
function step(sum: v128, w: v128, low: v128, high: v128, x: usize, nibbles: v128): v128 {
  if (!relaxed) return stepShorts(sum, w, low, high, x, nibbles)
  const w0 = v128.and(w, nibbles)
  const w1 = v128.and(i16x8.shr_u(w, 4), nibbles)
  if (shortSums) {
    const s0 = i16x8.relaxed_dot_i8x16_i7x16_s(low, w0)
    return i16x8.add(sum, i16x8.add(s0, i16x8.relaxed_dot_i8x16_i7x16_s(high, w1)))
  }
  const s0 = i32x4.relaxed_dot_i8x16_i7x16_add_s(low, w0, sum)
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(high, w1, s0)
}

/** A block's first step: there is no sum yet to add to. */
function firstStep(w: v128, low: v128, high: v128, x: usize, nibbles: v128): v128 {
  if (!relaxed || !shortSums) return step(i32x4.splat(0), w, low, high, x, nibbles)
  const s0 = i16x8.relaxed_dot_i8x16_i7x16_s(low, v128.and(w, nibbles))
  return i16x8.add(s0, i16x8.relaxed_dot_i8x16_i7x16_s(high, v128.and(i16x8.shr_u(w, 4), nibbles)))
}

/** A 16-bit lane holds four integers as it stands: the even bytes' nibbles, then the odd bytes'. */
function stepShorts(sum: v128, w: v128, low: v128, high: v128, x: usize, nibbles: v128): v128 {
  const s0 = i32x4.dot_i16x8_s(v128.and(w, nibbles), low)
  const s1 = i32x4.dot_i16x8_s(v128.and(i16x8.shr_u(w, 4), nibbles), high)
  const s2 = i32x4.dot_i16x8_s(v128.and(i16x8.shr_u(w, 8), nibbles), v128.load32_splat(x, 4))
  const s3 = i32x4.dot_i16x8_s(i16x8.shr_u(w, 12), v128.load32_splat(x, HALF_X + 4))
  return i32x4.add(i32x4.add(sum, i32x4.add(s0, s1)), i32x4.add(s2, s3))
}

/**
 * Unpacks columns [block · 32, (block + count) · 32) of a group for the tiles (tile.ts): bytes 0…15 where the machine
 * has relaxed dot products, 16-bit integers elsewhere.
 */
export function unpackQ4_0(group: usize, block: i32, count: i32, panel: usize, scales: usize): void {
  const nibbles = relaxed ? i8x16.splat(15) : i16x8.splat(15)
  let p = group + <usize>block * Q4_0_BYTES
  for (let b = 0; b < count; b++) {
    const d = v128.load(p)
    v128.store(scales, f16Low(d))
    v128.store(scales, f16High(d), 16)
    unpackNibbles(p + 16, panel, nibbles)
    p += Q4_0_BYTES
    panel += relaxed ? 256 : 512
    scales += 32
  }
}

/** The same; `block` and `count` are multiples of eight. */
export function unpackQ4_K(
  group: usize,
  block: i32,
  count: i32,
  panel: usize,
  scales: usize,
  minima: usize,
): void {
  const nibbles = relaxed ? i8x16.splat(15) : i16x8.splat(15)
  let p = group + <usize>(block >> 3) * Q4_K_BYTES
  for (let left = count; left > 0; left -= 8) {
    const d = v128.load(p),
      dmin = v128.load(p, 16)
    const d0 = f16Low(d),
      d1 = f16High(d)
    const m0 = f32x4.neg(f16Low(dmin)),
      m1 = f32x4.neg(f16High(dmin))
    let steps = p + 160
    let at = p + 32
    for (const end = at + 64; at < end; at += 8) {
      const sc = v128.load_ext<u8>(at),
        mn = v128.load_ext<u8>(at, 64)
      const s0 = f32x4.mul(d0, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(sc)))
      const s1 = f32x4.mul(d1, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(sc)))
      v128.store(scales, s0)
      v128.store(scales, s1, 16)
      v128.store(minima, minimum(m0, i32x4.extend_low_i16x8_u(mn), s0))
      v128.store(minima, minimum(m1, i32x4.extend_high_i16x8_u(mn), s1), 16)
      unpackNibbles(steps, panel, nibbles)
      steps += STEPS
      panel += relaxed ? 256 : 512
      scales += 32
      minima += 32
    }
    p += Q4_K_BYTES
  }
}

/** What is added to a block's weights in the tiles; joined they count from -8. */
function minimum(m: v128, count: v128, scale: v128): v128 {
  const from0 = f32x4.mul(m, f32x4.convert_i32x4_s(count))
  return shortSums ? f32x4.add(from0, f32x4.mul(scale, f32x4.splat(8))) : from0
}

function unpackNibbles(p: usize, panel: usize, nibbles: v128): void {
  for (const end = p + STEPS; p < end; p += 32) {
    unpackStep(v128.load(p), panel, nibbles)
    unpackStep(v128.load(p, 16), panel + 16, nibbles)
    panel += relaxed ? 32 : 64
  }
}

function unpackStep(w: v128, panel: usize, nibbles: v128): void {
  if (relaxed) {
    v128.store(panel, v128.and(w, nibbles))
    v128.store(panel, v128.and(i16x8.shr_u(w, 4), nibbles), 128)
    return
  }
  v128.store(panel, v128.and(w, nibbles))
  v128.store(panel, v128.and(i16x8.shr_u(w, 8), nibbles), 32)
  v128.store(panel, v128.and(i16x8.shr_u(w, 4), nibbles), 256)
  v128.store(panel, i16x8.shr_u(w, 12), 288)
}

/** out (cols) = row `row` of a group, 0 ≤ row < 8 */
export function rowQ4_0(group: usize, row: usize, cols: i32, out: usize): void {
  for (let k = 0; k < cols; k++) {
    const p = group + <usize>(k >> 5) * Q4_0_BYTES
    store<f32>(out + ((<usize>k) << 2), f16At(p + row * 2) * <f32>(nibble(p + 16, row, k & 31) - 8))
  }
}

export function rowQ4_K(group: usize, row: usize, cols: i32, out: usize): void {
  for (let k = 0; k < cols; k++) {
    const p = group + <usize>(k >> 8) * Q4_K_BYTES,
      block = <usize>((k >> 5) & 7)
    const scale = f16At(p + row * 2) * <f32>load<u8>(p + block * 8 + row, 32)
    const minimum = f16At(p + 16 + row * 2) * <f32>load<u8>(p + block * 8 + row, 96)
    store<f32>(out + ((<usize>k) << 2), scale * <f32>nibble(p + 160 + block * 128, row, k & 31) - minimum)
  }
}

function nibble(block: usize, row: usize, k: i32): i32 {
  const byte = <i32>load<u8>(block + <usize>((k >> 2) & 3) * 32 + row * 4 + <usize>(k & 3))
  return k < 16 ? byte & 15 : byte >> 4
}
