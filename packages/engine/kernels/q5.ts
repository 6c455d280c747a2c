// 5-bit weights: Q5_0 and Q5_K, in groups of eight rows.
//
// Block (8 rows × 32 weights, 160 bytes): five steps of (rows 0–3, rows 4–7), 16 bytes each. An i32 lane is a row. The low
// five bits of the four bytes in step q are weights 4q … 4q + 3. Steps 5 to 7 are shared out over the upper three:
// bits 0–2 of step 5 in step 0, 3–4 in step 1; those of step 6 in steps 2 and 3; of step 7 bits 0–2 in step 4, bit 3 in
// the highest of step 1, bit 4 in the highest of step 3. So five of eight steps cost one instruction to unpack.
//
// Q5_0 block (176 bytes): d, 8 × f16 · block.              w = d · (q - 16)
// Q5_K block of 256 (1440 bytes): d, 8 × f16 · dmin, 8 × f16 · scales (8 blocks, 8 rows), u8 · minima, the same ·
//   8 blocks.                                              w = d · scale · q - dmin · minimum
//
// For the tiles weights are 16 larger and their sums start as those of Q6_K.

import { Activations } from './activations'
import {
  F16_KEPT,
  F16_LACKS,
  F16_LEAST,
  bytesTimesShorts,
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

export const Q5_0_BYTES: usize = 176
export const Q5_K_BYTES: usize = 1440

/** out (groups · 8) = W · x */
export function dotQ5_0(weights: usize, groups: i32, a: Activations, out: usize): void {
  const blocks = a.cols >> 5
  const five = i8x16.splat(31)
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
      const sixteens = doubled(v128.load32_splat(start))
      const s0 = lastFour(firstFour(sixteens, p + 16, x, five), p + 16, x, five)
      const s1 = lastFour(firstFour(sixteens, p + 32, x, five), p + 32, x, five)
      const xs = v128.load32_splat(scale)
      f0 = madd(f32x4.mul(f32x4.convert_i32x4_s(total(s0)), xs), f16Low(d, kept, lacks, least), f0)
      f1 = madd(f32x4.mul(f32x4.convert_i32x4_s(total(s1)), xs), f16High(d, kept, lacks, least), f1)
      p += Q5_0_BYTES
      x += BLOCK_X
      scale += 4
      start += 4
    }
    v128.store(out, f0)
    v128.store(out, f1, 16)
    out += 32
  }
}

/** out (groups · 8) = W · x */
export function dotQ5_K(weights: usize, groups: i32, a: Activations, out: usize): void {
  const supers = a.cols >> 8
  const five = i8x16.splat(31)
  const kept = i16x8.splat(F16_KEPT)
  const lacks = i16x8.splat(F16_LACKS)
  const least = i32x4.splat(F16_LEAST)
  let p = weights
  for (let g = 0; g < groups; g++) {
    let f0 = f32x4.splat(0)
    let f1 = f32x4.splat(0)
    let x = relaxed ? a.bytes : a.shorts
    let scale = relaxed ? a.scales : a.shortScales
    let sum = a.sums
    for (let s = 0; s < supers; s++) {
      const d = v128.load(p)
      const dmin = v128.load(p, 16)
      let scales = p + 32
      let g0 = f32x4.splat(0)
      let g1 = f32x4.splat(0)
      let m0 = f32x4.splat(0)
      let m1 = f32x4.splat(0)
      p += 160
      for (const end = scales + 64; scales < end; scales += 8) {
        // in two halves: of all eight steps a row's sum may be too large for 16 bits
        const none = i32x4.splat(0)
        const sc = v128.load_ext<u8>(scales)
        const first0 = scaledLow(firstFour(none, p, x, five), sc)
        const t0 = i32x4.add(first0, scaledLow(lastFour(none, p, x, five), sc))
        const first1 = scaledHigh(firstFour(none, p + 16, x, five), sc)
        const t1 = i32x4.add(first1, scaledHigh(lastFour(none, p + 16, x, five), sc))
        const xs = v128.load32_splat(scale)
        g0 = madd(f32x4.convert_i32x4_s(t0), xs, g0)
        g1 = madd(f32x4.convert_i32x4_s(t1), xs, g1)
        const mn = v128.load_ext<u8>(scales, 64)
        const xsum = v128.load32_splat(sum)
        m0 = madd(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(mn)), xsum, m0)
        m1 = madd(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(mn)), xsum, m1)
        p += BLOCK
        x += BLOCK_X
        scale += 4
        sum += 4
      }
      f0 = f32x4.sub(
        madd(f16Low(d, kept, lacks, least), g0, f0),
        f32x4.mul(f16Low(dmin, kept, lacks, least), m0),
      )
      f1 = f32x4.sub(
        madd(f16High(d, kept, lacks, least), g1, f1),
        f32x4.mul(f16High(dmin, kept, lacks, least), m1),
      )
    }
    v128.store(out, f0)
    v128.store(out, f1, 16)
    out += 32
  }
}

/** Bytes of a block's steps; of x per step and per block. */
const BLOCK: usize = 160
const STEP_X: usize = relaxed ? 4 : 8
const BLOCK_X: usize = STEP_X * 8

/** Twice the sums of eights (activations.ts): weights from -16. */
function doubled(eights: v128): v128 {
  return shortSums ? i16x8.shl(eights, 1) : i32x4.shl(eights, 1)
}

/** Adds weights 0 … 15 of four rows times x. */
function firstFour(sum: v128, p: usize, x: usize, five: v128): v128 {
  const s0 = step(sum, v128.and(v128.load(p), five), x)
  const s1 = step(s0, v128.and(v128.load(p, 32), five), x + STEP_X)
  const s2 = step(s1, v128.and(v128.load(p, 64), five), x + STEP_X * 2)
  return step(s2, v128.and(v128.load(p, 96), five), x + STEP_X * 3)
}

/** Adds weights 16 … 31 of four rows times x. */
function lastFour(sum: v128, p: usize, x: usize, five: v128): v128 {
  const w4 = v128.load(p, 128)
  const w5 = joined(p, five)
  const w6 = joined(p + 64, five)
  const s4 = step(sum, v128.and(w4, five), x + STEP_X * 4)
  const s5 = step(s4, v128.and(w5, five), x + STEP_X * 5)
  const s6 = step(s5, v128.and(w6, five), x + STEP_X * 6)
  return step(s6, left(w4, w5, w6, five), x + STEP_X * 7)
}

/** Five bits out of the upper three of a step and of the next; the one that is left over lies in bit 5. */
function joined(p: usize, five: v128): v128 {
  const low = i16x8.shr_u(v128.andnot(v128.load(p), five), 3)
  return i16x8.shr_u(v128.or(low, v128.andnot(v128.load(p, 32), five)), 2)
}

/** The last step: three bits of step 4, and what {@link joined} left over twice. */
function left(w4: v128, w5: v128, w6: v128, five: v128): v128 {
  const upper = v128.or(i16x8.shr_u(v128.andnot(w5, five), 1), v128.andnot(w6, five))
  return v128.or(i16x8.shr_u(v128.andnot(w4, five), 5), i16x8.shr_u(upper, 1))
}

/** Adds four rows' weights of a step, a byte each, times x. */
function step(sum: v128, w: v128, x: usize): v128 {
  if (!relaxed) return i32x4.add(sum, bytesTimesShorts(w, x, i16x8.splat(0xff)))
  const xs = v128.load32_splat(x)
  if (shortSums) return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(xs, w))
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(xs, w, sum)
}

/** Unpacks columns [block · 32, (block + count) · 32) for the tiles: 16…47, as bytes or 16-bit integers. */
export function unpackQ5_0(group: usize, block: i32, count: i32, panel: usize, scales: usize): void {
  let p = group + <usize>block * Q5_0_BYTES
  for (let b = 0; b < count; b++) {
    const d = v128.load(p)
    storeScales(scales, f16Low(d), f16High(d))
    unpackBlock(p + 16, panel)
    p += Q5_0_BYTES
    panel += relaxed ? 256 : 512
    scales += 64
  }
}

export function unpackQ5_K(
  group: usize,
  block: i32,
  count: i32,
  panel: usize,
  scales: usize,
  minima: usize,
): void {
  const sixteen = f32x4.splat(16)
  for (let b = block; b < block + count; b++) {
    const p = group + <usize>(b >> 3) * Q5_K_BYTES,
      inSuper = <usize>(b & 7)
    const d = v128.load(p),
      dmin = v128.load(p, 16)
    const sc = v128.load_ext<u8>(p + inSuper * 8, 32),
      mn = v128.load_ext<u8>(p + inSuper * 8, 96)
    const s0 = f32x4.mul(f16Low(d), f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(sc)))
    const s1 = f32x4.mul(f16High(d), f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(sc)))
    const m0 = f32x4.mul(f16Low(dmin), f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(mn)))
    const m1 = f32x4.mul(f16High(dmin), f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(mn)))
    storeScales(scales, s0, s1)
    // weights count from -16 in the tiles
    v128.store(minima, f32x4.sub(f32x4.mul(s0, sixteen), m0))
    v128.store(minima, f32x4.sub(f32x4.mul(s1, sixteen), m1), 16)
    unpackBlock(p + 160 + inSuper * BLOCK, panel)
    panel += relaxed ? 256 : 512
    scales += 64
    minima += 32
  }
}

/** For both half blocks. */
function storeScales(to: usize, low: v128, high: v128): void {
  v128.store(to, low)
  v128.store(to, high, 16)
  v128.store(to, low, 32)
  v128.store(to, high, 48)
}

function unpackBlock(block: usize, panel: usize): void {
  const five = i8x16.splat(31)
  for (let rows: usize = 0; rows < 32; rows += 16) {
    const p = block + rows
    for (let q: usize = 0; q < 5; q++) unpackStep(panel, q, rows, v128.and(v128.load(p + q * 32), five))
    const w5 = joined(p, five)
    const w6 = joined(p + 64, five)
    unpackStep(panel, 5, rows, v128.and(w5, five))
    unpackStep(panel, 6, rows, v128.and(w6, five))
    unpackStep(panel, 7, rows, left(v128.load(p, 128), w5, w6, five))
  }
}

function unpackStep(panel: usize, step: usize, rows: usize, w: v128): void {
  const larger = i8x16.add(w, i8x16.splat(16))
  if (relaxed) {
    v128.store(panel + step * 32 + rows, larger)
  } else {
    const to = panel + step * 64 + rows
    v128.store(to, v128.and(larger, i16x8.splat(0xff)))
    v128.store(to, i16x8.shr_u(larger, 8), 32)
  }
}

/** out (cols) = row `row` of a group, 0 ≤ row < 8 */
export function rowQ5_0(group: usize, row: usize, cols: i32, out: usize): void {
  for (let k = 0; k < cols; k++) {
    const p = group + <usize>(k >> 5) * Q5_0_BYTES
    store<f32>(out + ((<usize>k) << 2), f16At(p + row * 2) * <f32>(weight(p + 16, row, k & 31) - 16))
  }
}

export function rowQ5_K(group: usize, row: usize, cols: i32, out: usize): void {
  for (let k = 0; k < cols; k++) {
    const p = group + <usize>(k >> 8) * Q5_K_BYTES,
      block = <usize>((k >> 5) & 7)
    const scale = f16At(p + row * 2) * <f32>load<u8>(p + block * 8 + row, 32)
    const minimum = f16At(p + 16 + row * 2) * <f32>load<u8>(p + block * 8 + row, 96)
    store<f32>(out + ((<usize>k) << 2), scale * <f32>weight(p + 160 + block * BLOCK, row, k & 31) - minimum)
  }
}

function weight(block: usize, row: usize, k: i32): i32 {
  const at = block + row * 4 + <usize>(k & 3)
  const q = k >> 2
  if (q < 5) return <i32>load<u8>(at + <usize>q * 32) & 31
  if (q < 7) {
    const pair = at + <usize>(q - 5) * 64
    return (<i32>load<u8>(pair) >> 5) | (((<i32>load<u8>(pair, 32) >> 5) & 3) << 3)
  }
  return (
    (<i32>load<u8>(at, 128) >> 5) | ((<i32>load<u8>(at, 32) >> 7) << 3) | ((<i32>load<u8>(at, 96) >> 7) << 4)
  )
}
