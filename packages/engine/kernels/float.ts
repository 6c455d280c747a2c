// F32 and F16 weights, in groups of eight rows: for every column the weights of rows 0 … 7.

import { Activations } from './activations'
import { HALF_BITS, HALF_EXPONENT, f16At, f16High, f16HighRaw, f16Low, f16LowRaw, madd } from './lanes'

/** out (groups · 8) = W · x, in f32 */
export function dotF32(weights: usize, groups: i32, a: Activations, out: usize): void {
  let p = weights
  const end = a.x + ((<usize>a.cols) << 2)
  for (let g = 0; g < groups; g++) {
    let x = a.x
    let f0 = f32x4.splat(0)
    let f1 = f32x4.splat(0)
    // even and odd columns apart: a sum need not wait for the one before
    let e0 = f32x4.splat(0)
    let e1 = f32x4.splat(0)
    for (; x + 8 <= end; x += 8) {
      const x0 = v128.load32_splat(x)
      const x1 = v128.load32_splat(x, 4)
      f0 = madd(v128.load(p), x0, f0)
      f1 = madd(v128.load(p, 16), x0, f1)
      e0 = madd(v128.load(p, 32), x1, e0)
      e1 = madd(v128.load(p, 48), x1, e1)
      p += 64
    }
    if (x < end) {
      const x0 = v128.load32_splat(x)
      f0 = madd(v128.load(p), x0, f0)
      f1 = madd(v128.load(p, 16), x0, f1)
      p += 32
    }
    v128.store(out, f32x4.add(f0, e0))
    v128.store(out, f32x4.add(f1, e1), 16)
    out += 32
  }
}

/** out (groups · 8) = W · x, in f32 */
export function dotF16(weights: usize, groups: i32, a: Activations, out: usize): void {
  const bits = i32x4.splat(HALF_BITS)
  const exponent = f32x4.splat(HALF_EXPONENT)
  let p = weights
  const end = a.x + ((<usize>a.cols) << 2)
  for (let g = 0; g < groups; g++) {
    let x = a.x
    let f0 = f32x4.splat(0)
    let f1 = f32x4.splat(0)
    // even and odd columns apart: a sum need not wait for the one before
    let e0 = f32x4.splat(0)
    let e1 = f32x4.splat(0)
    for (; x + 8 <= end; x += 8) {
      const x0 = v128.load32_splat(x)
      const x1 = v128.load32_splat(x, 4)
      const w0 = v128.load(p)
      const w1 = v128.load(p, 16)
      f0 = madd(f32x4.mul(f16LowRaw(w0, bits), exponent), x0, f0)
      f1 = madd(f32x4.mul(f16HighRaw(w0, bits), exponent), x0, f1)
      e0 = madd(f32x4.mul(f16LowRaw(w1, bits), exponent), x1, e0)
      e1 = madd(f32x4.mul(f16HighRaw(w1, bits), exponent), x1, e1)
      p += 32
    }
    if (x < end) {
      const x0 = v128.load32_splat(x)
      const w0 = v128.load(p)
      f0 = madd(f16Low(w0), x0, f0)
      f1 = madd(f16High(w0), x0, f1)
      p += 16
    }
    v128.store(out, f32x4.add(f0, e0))
    v128.store(out, f32x4.add(f1, e1), 16)
    out += 32
  }
}

/** Columns [col, col + count) of a group as f32. */
export function unpackF16(group: usize, col: i32, count: i32, panel: usize): void {
  let p = group + ((<usize>col) << 4)
  for (let k = 0; k < count; k++) {
    const w = v128.load(p)
    v128.store(panel, f16Low(w))
    v128.store(panel, f16High(w), 16)
    p += 16
    panel += 32
  }
}

/** out (cols) = row `row` of a group, 0 ≤ row < 8 */
export function rowF32(group: usize, row: usize, cols: i32, out: usize): void {
  for (let k: usize = 0; k < <usize>cols; k++) store<f32>(out + k * 4, load<f32>(group + k * 32 + row * 4))
}

export function rowF16(group: usize, row: usize, cols: i32, out: usize): void {
  for (let k: usize = 0; k < <usize>cols; k++) store<f32>(out + k * 4, f16At(group + k * 16 + row * 2))
}
