// 6-bit weights: Q6_K, in groups of eight rows.
//
// Block of 256 (1680 bytes): d, 8 × f16 · scales (16 half blocks, 8 rows), i8 · 16 half blocks.
// Half block (8 rows × 16 weights, 96 bytes): three steps of (rows 0–3, rows 4–7), 16 bytes each. An i32 lane is a row.
// The low six bits of the four bytes in step q are weights 4q … 4q + 3. Weights 12 … 15 are shared out over the upper
// two: their bits 0–1 in step 0, 2–3 in step 1, 4–5 in step 2, so that three of four steps cost one instruction to unpack.
// As 16 bits each the steps shifted right by 6, 4 and 2 bring them together, with bits of other weights: those are
// cancelled beforehand, by exclusive or into the upper two, so that one mask is all that the fourth step costs besides.
//
// w = d · scale · (q - 32). Weights stay unsigned; 32 times the sum of x over a half block is subtracted.

import { Activations } from './activations'
import {
  F16_KEPT,
  F16_LACKS,
  F16_LEAST,
  bytesTimesShorts,
  dotBytes,
  f16At,
  f16High,
  f16Low,
  madd,
  relaxed,
  scaledHigh,
  scaledLow,
} from './lanes'

export const Q6_K_BYTES: usize = 1680

/** out (groups · 8) = W · x */
export function dotQ6_K(weights: usize, groups: i32, a: Activations, out: usize): void {
  if (!relaxed) return dotShorts(weights, groups, a, out)
  const supers = a.cols >> 8
  const six = i8x16.splat(63)
  const kept = i16x8.splat(F16_KEPT)
  const lacks = i16x8.splat(F16_LACKS)
  const least = i32x4.splat(F16_LEAST)
  let p = weights
  for (let g = 0; g < groups; g++) {
    let f0 = f32x4.splat(0)
    let f1 = f32x4.splat(0)
    let x = a.bytes
    let scale = a.scales
    let half = a.halves
    for (let s = 0; s < supers; s++) {
      touchNext(x)
      const d = v128.load(p)
      let scales = p + 16
      let g0 = f32x4.splat(0)
      let g1 = f32x4.splat(0)
      p += 144
      // a block's halves share the scale of x
      for (const end = p + HALF * 16; p < end;) {
        let x0 = v128.load32_splat(x)
        let x1 = v128.load32_splat(x, STEP_X)
        let x2 = v128.load32_splat(x, STEP_X * 2)
        let x3 = v128.load32_splat(x, STEP_X * 3)
        let start = v128.load32_splat(half)
        let sc = v128.load_ext<i8>(scales)
        let s0 = scaledLow(fourSteps(start, p, x0, x1, x2, x3, six), sc)
        let s1 = scaledHigh(fourSteps(start, p + 16, x0, x1, x2, x3, six), sc)
        p += HALF
        x += HALF_X
        x0 = v128.load32_splat(x)
        x1 = v128.load32_splat(x, STEP_X)
        x2 = v128.load32_splat(x, STEP_X * 2)
        x3 = v128.load32_splat(x, STEP_X * 3)
        start = v128.load32_splat(half, 4)
        sc = v128.load_ext<i8>(scales, 8)
        s0 = i32x4.add(s0, scaledLow(fourSteps(start, p, x0, x1, x2, x3, six), sc))
        s1 = i32x4.add(s1, scaledHigh(fourSteps(start, p + 16, x0, x1, x2, x3, six), sc))
        const xs = v128.load32_splat(scale)
        g0 = madd(f32x4.convert_i32x4_s(s0), xs, g0)
        g1 = madd(f32x4.convert_i32x4_s(s1), xs, g1)
        p += HALF
        x += HALF_X
        half += 8
        scales += 16
        scale += 4
      }
      f0 = madd(f16Low(d, kept, lacks, least), g0, f0)
      f1 = madd(f16High(d, kept, lacks, least), g1, f1)
    }
    v128.store(out, f0)
    v128.store(out, f1, 16)
    out += 32
  }
}

/**
 * Touches the x of the next block of 256: weights of many columns drive it out of the nearest cache before the next group comes to it.
 * Behind the last one lies what else was quantized.
 */
function touchNext(x: usize): void {
  load<u8>(x, 256)
  load<u8>(x, 320)
  load<u8>(x, 384)
  load<u8>(x, 448)
}

/** Bytes of a half block. */
const HALF: usize = 96
/** Bytes of x per step and per half block. */
const STEP_X: usize = relaxed ? 4 : 8
const HALF_X: usize = STEP_X * 4

/** The step that the other three share: bits that are no part of it were cancelled when they were packed. */
function fourth(w0: v128, w1: v128, w2: v128, six: v128): v128 {
  const both = v128.xor(i16x8.shr_u(w0, 6), i16x8.shr_u(w1, 4))
  return v128.and(v128.xor(both, i16x8.shr_u(w2, 2)), six)
}

/** Adds a half block of four rows times x, whose steps are in x0 … x3. */
function fourSteps(sum: v128, p: usize, x0: v128, x1: v128, x2: v128, x3: v128, six: v128): v128 {
  const w0 = v128.load(p)
  const w1 = v128.load(p, 32)
  const w2 = v128.load(p, 64)
  const s0 = dotBytes(sum, x0, v128.and(w0, six))
  const s1 = dotBytes(s0, x1, v128.and(w1, six))
  const s2 = dotBytes(s1, x2, v128.and(w2, six))
  return dotBytes(s2, x3, fourth(w0, w1, w2, six))
}

/**
 * out (4, 8) = one group of W · x, for the token of `a` and the three behind it: what is unpacked meets all four. To the bit what
 * {@link dotQ6_K} says of each. With relaxed dot products only.
 *
 * @param room 256 bytes: sums of four tokens, and of half a block
 */
export function fourQ6_K(weights: usize, a: Activations, out: usize, room: usize): void {
  const six = i8x16.splat(63)
  const stride = <usize>a.cols
  const next = (stride >> 5) << 2
  let p = weights
  let x = a.bytes
  let scale = a.scales
  let half = a.halves
  memory.fill(out, 0, 128)
  for (const end = scale + next; scale < end;) {
    const d = v128.load(p)
    let scales = p + 16
    p += 144
    memory.fill(room, 0, 128)
    for (let h = 0; h < 16; h++) {
      // the last step first, since it wants the registers of three
      const v0 = fourth(v128.load(p), v128.load(p, 32), v128.load(p, 64), six)
      const v1 = fourth(v128.load(p, 16), v128.load(p, 48), v128.load(p, 80), six)
      let q = x + STEP_X * 3
      const x0 = v128.load32_splat(q)
      const start0 = v128.load32_splat(half)
      let a0 = dotBytes(start0, x0, v0)
      let a1 = dotBytes(start0, x0, v1)
      q += stride
      const x1 = v128.load32_splat(q)
      const start1 = v128.load32_splat(half + next * 2)
      let a2 = dotBytes(start1, x1, v0)
      let a3 = dotBytes(start1, x1, v1)
      q += stride
      const x2 = v128.load32_splat(q)
      const start2 = v128.load32_splat(half + next * 4)
      let a4 = dotBytes(start2, x2, v0)
      let a5 = dotBytes(start2, x2, v1)
      q += stride
      const x3 = v128.load32_splat(q)
      const start3 = v128.load32_splat(half + next * 6)
      let a6 = dotBytes(start3, x3, v0)
      let a7 = dotBytes(start3, x3, v1)
      for (const end = p + HALF; p < end; p += 32) {
        const w0 = v128.and(v128.load(p), six)
        const w1 = v128.and(v128.load(p, 16), six)
        let q = x
        const x0 = v128.load32_splat(q)
        a0 = dotBytes(a0, x0, w0)
        a1 = dotBytes(a1, x0, w1)
        q += stride
        const x1 = v128.load32_splat(q)
        a2 = dotBytes(a2, x1, w0)
        a3 = dotBytes(a3, x1, w1)
        q += stride
        const x2 = v128.load32_splat(q)
        a4 = dotBytes(a4, x2, w0)
        a5 = dotBytes(a5, x2, w1)
        q += stride
        const x3 = v128.load32_splat(q)
        a6 = dotBytes(a6, x3, w0)
        a7 = dotBytes(a7, x3, w1)
        x += STEP_X
      }
      x += STEP_X
      const sc = v128.load_ext<i8>(scales)
      if (h & 1) {
        addBlock(room, a0, a1, sc, v128.load32_splat(scale))
        addBlock(room + 32, a2, a3, sc, v128.load32_splat(scale + next))
        addBlock(room + 64, a4, a5, sc, v128.load32_splat(scale + next * 2))
        addBlock(room + 96, a6, a7, sc, v128.load32_splat(scale + next * 3))
        scale += 4
      } else {
        keepHalf(room, a0, a1, sc)
        keepHalf(room + 32, a2, a3, sc)
        keepHalf(room + 64, a4, a5, sc)
        keepHalf(room + 96, a6, a7, sc)
      }
      half += 4
      scales += 8
    }
    const d0 = f16Low(d)
    const d1 = f16High(d)
    for (let i: usize = 0; i < 128; i += 32) {
      v128.store(out + i, madd(d0, v128.load(room + i), v128.load(out + i)))
      v128.store(out + i, madd(d1, v128.load(room + i, 16), v128.load(out + i, 16)), 16)
    }
  }
}

/** Keeps the sums of a block's first half, times its scales, 128 bytes behind those of the block of 256. */
function keepHalf(to: usize, s0: v128, s1: v128, scales: v128): void {
  v128.store(to, scaledLow(s0, scales), 128)
  v128.store(to, scaledHigh(s1, scales), 144)
}

/** Adds the sums of a block, of whose second half `s0` and `s1` are. */
function addBlock(to: usize, s0: v128, s1: v128, scales: v128, xs: v128): void {
  const b0 = i32x4.add(v128.load(to, 128), scaledLow(s0, scales))
  const b1 = i32x4.add(v128.load(to, 144), scaledHigh(s1, scales))
  v128.store(to, madd(f32x4.convert_i32x4_s(b0), xs, v128.load(to)))
  v128.store(to, madd(f32x4.convert_i32x4_s(b1), xs, v128.load(to, 16)), 16)
}

/** The same without relaxed instructions: x takes twice the registers, so only four rows go at a time. */
function dotShorts(weights: usize, groups: i32, a: Activations, out: usize): void {
  const supers = a.cols >> 8
  const kept = i16x8.splat(F16_KEPT)
  const lacks = i16x8.splat(F16_LACKS)
  const least = i32x4.splat(F16_LEAST)
  let p = weights
  for (let g = 0; g < groups; g++) {
    let f0 = f32x4.splat(0)
    let f1 = f32x4.splat(0)
    let x = a.shorts
    let scale = a.shortScales
    let half = a.halves
    for (let s = 0; s < supers; s++) {
      const d = v128.load(p)
      f0 = madd(f16Low(d, kept, lacks, least), fourRows(p + 144, p + 16, x, half, scale), f0)
      f1 = madd(f16High(d, kept, lacks, least), fourRows(p + 160, p + 20, x, half, scale), f1)
      p += Q6_K_BYTES
      x += HALF_X * 16
      half += 64
      scale += 32
    }
    v128.store(out, f0)
    v128.store(out, f1, 16)
    out += 32
  }
}

/** Four rows of a block of 256 times x, without d. */
function fourRows(p: usize, scales: usize, x: usize, half: usize, scale: usize): v128 {
  const six = i8x16.splat(63)
  const even = i16x8.splat(0xff)
  let sum = f32x4.splat(0)
  for (let h = 0; h < 16; h++) {
    const w0 = v128.load(p)
    const w1 = v128.load(p, 32)
    const w2 = v128.load(p, 64)
    const s0 = i32x4.add(
      bytesTimesShorts(v128.and(w0, six), x, even),
      bytesTimesShorts(v128.and(w1, six), x + STEP_X, even),
    )
    const s1 = i32x4.add(
      bytesTimesShorts(v128.and(w2, six), x + STEP_X * 2, even),
      bytesTimesShorts(fourth(w0, w1, w2, six), x + STEP_X * 3, even),
    )
    const s = i32x4.add(v128.load32_splat(half), i32x4.add(s0, s1))
    const scaled = f32x4.convert_i32x4_s(scaledLow(s, v128.load_ext<i8>(scales)))
    sum = madd(scaled, v128.load32_splat(scale), sum)
    p += HALF
    x += HALF_X
    half += 4
    scales += 8
    scale += (h & 1) << 2
  }
  return sum
}

/** Unpacks columns [block · 32, (block + count) · 32) for the tiles: 0…63, as bytes or 16-bit integers. */
export function unpackQ6_K(group: usize, block: i32, count: i32, panel: usize, scales: usize): void {
  const six = i8x16.splat(63)
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
    const q = p + 144 + inSuper * HALF * 2
    for (let half: usize = 0; half < 2; half++) {
      for (let rows: usize = 0; rows < 32; rows += 16) {
        const w = q + half * HALF + rows
        const w0 = v128.load(w),
          w1 = v128.load(w, 32),
          w2 = v128.load(w, 64)
        unpackStep(panel, half * 4, rows, v128.and(w0, six))
        unpackStep(panel, half * 4 + 1, rows, v128.and(w1, six))
        unpackStep(panel, half * 4 + 2, rows, v128.and(w2, six))
        unpackStep(panel, half * 4 + 3, rows, fourth(w0, w1, w2, six))
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
    const half = p + 144 + <usize>((k >> 4) & 15) * HALF
    store<f32>(out + ((<usize>k) << 2), scale * <f32>(weight(half + row * 4, k & 15) - 32))
  }
}

/** Weight k of a half block; `at` is the row's word of step 0. */
function weight(at: usize, k: i32): i32 {
  if (k < 12) return <i32>load<u8>(at + <usize>(k >> 2) * 32 + <usize>(k & 3)) & 63
  const pair = at + <usize>(k & 2)
  const two = (load<u16>(pair) >> 6) ^ (load<u16>(pair, 32) >> 4) ^ (load<u16>(pair, 64) >> 2)
  return (<i32>two >> ((k & 1) << 3)) & 63
}
