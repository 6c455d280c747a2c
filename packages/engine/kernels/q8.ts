// 8-bit weights: Q8_0, in groups of eight rows.
//
// Block (8 rows × 32 weights, 272 bytes): d, 8 × f16 · eight steps of (rows 0–3, rows 4–7), 16 bytes each; an i32 lane
// is a row, its bytes weights 4q … 4q + 3.                 w = d · q
//
// A relaxed dot product takes seven bits on one side, so these weights meet 16-bit activations instead: the even and
// the odd bytes of a lane, widened by shifts, times (x0, x2) and (x1, x3). Exact, and as fast as memory.

import { Activations } from './activations'
import { F16_KEPT, F16_LACKS, F16_LEAST, f16At, f16High, f16Low, madd } from './lanes'

export const Q8_0_BYTES: usize = 272

/** out (groups · 8) = W · x */
export function dotQ8_0(weights: usize, groups: i32, a: Activations, out: usize): void {
  const blocks = a.cols >> 5
  const kept = i16x8.splat(F16_KEPT)
  const lacks = i16x8.splat(F16_LACKS)
  const least = i32x4.splat(F16_LEAST)
  let p = weights
  for (let g = 0; g < groups; g++) {
    let f0 = f32x4.splat(0)
    let f1 = f32x4.splat(0)
    let x = a.shorts
    let scale = a.shortScales
    for (let b = 0; b < blocks; b++) {
      const d = v128.load(p)
      let even0 = i32x4.splat(0)
      let even1 = i32x4.splat(0)
      let odd0 = i32x4.splat(0)
      let odd1 = i32x4.splat(0)
      p += 16
      for (const end = x + 64; x < end; x += 8) {
        const even = v128.load32_splat(x)
        const odd = v128.load32_splat(x, 4)
        const w0 = v128.load(p)
        const w1 = v128.load(p, 16)
        // even bytes stay in the upper half of their lanes: 16 products up to 2^15 · 4064 fit
        even0 = i32x4.add(even0, i32x4.dot_i16x8_s(i16x8.shl(w0, 8), even))
        even1 = i32x4.add(even1, i32x4.dot_i16x8_s(i16x8.shl(w1, 8), even))
        odd0 = i32x4.add(odd0, i32x4.dot_i16x8_s(i16x8.shr_s(w0, 8), odd))
        odd1 = i32x4.add(odd1, i32x4.dot_i16x8_s(i16x8.shr_s(w1, 8), odd))
        p += 32
      }
      const xs = v128.load32_splat(scale)
      const s0 = i32x4.add(i32x4.shr_s(even0, 8), odd0)
      const s1 = i32x4.add(i32x4.shr_s(even1, 8), odd1)
      f0 = madd(f32x4.mul(f32x4.convert_i32x4_s(s0), xs), f16Low(d, kept, lacks, least), f0)
      f1 = madd(f32x4.mul(f32x4.convert_i32x4_s(s1), xs), f16High(d, kept, lacks, least), f1)
      scale += 4
    }
    v128.store(out, f0)
    v128.store(out, f1, 16)
    out += 32
  }
}

/** Unpacks columns [block · 32, (block + count) · 32) for the tiles: 16-bit integers. */
export function unpackQ8_0(group: usize, block: i32, count: i32, panel: usize, scales: usize): void {
  let p = group + <usize>block * Q8_0_BYTES
  for (let b = 0; b < count; b++) {
    const d = v128.load(p)
    v128.store(scales, f16Low(d))
    v128.store(scales, f16High(d), 16)
    for (let q: usize = 0; q < 8; q++) {
      const w0 = v128.load(p + q * 32, 16),
        w1 = v128.load(p + q * 32, 32)
      const to = panel + q * 64
      v128.store(to, i16x8.shr_s(i16x8.shl(w0, 8), 8))
      v128.store(to, i16x8.shr_s(i16x8.shl(w1, 8), 8), 16)
      v128.store(to, i16x8.shr_s(w0, 8), 32)
      v128.store(to, i16x8.shr_s(w1, 8), 48)
    }
    p += Q8_0_BYTES
    panel += 512
    scales += 32
  }
}

/** out (cols) = row `row` of a group, 0 ≤ row < 8 */
export function rowQ8_0(group: usize, row: usize, cols: i32, out: usize): void {
  for (let k = 0; k < cols; k++) {
    const p = group + <usize>(k >> 5) * Q8_0_BYTES
    const w = load<i8>(p + <usize>((k >> 2) & 7) * 32 + row * 4 + <usize>(k & 3), 16)
    store<f32>(out + ((<usize>k) << 2), f16At(p + row * 2) * <f32>w)
  }
}
