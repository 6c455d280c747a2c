// F32 and F16 weights, in groups of eight rows: for every column the weights of rows 0 … 7.

import { Activations } from './activations'
import { f16At, f16High, f16Low, madd } from './lanes'

/** out (groups · 8) = W · x, in f32 */
export function dotF32(weights: usize, groups: i32, a: Activations, out: usize): void {
  let p = weights
  const end = a.x + ((<usize>a.cols) << 2)
  for (let g = 0; g < groups; g++) {
    let f0 = f32x4.splat(0),
      f1 = f32x4.splat(0)
    for (let x = a.x; x < end; x += 4) {
      const v = v128.load32_splat(x)
      f0 = madd(v128.load(p), v, f0)
      f1 = madd(v128.load(p, 16), v, f1)
      p += 32
    }
    v128.store(out, f0)
    v128.store(out, f1, 16)
    out += 32
  }
}

/** out (groups · 8) = W · x, in f32 */
export function dotF16(weights: usize, groups: i32, a: Activations, out: usize): void {
  let p = weights
  const end = a.x + ((<usize>a.cols) << 2)
  for (let g = 0; g < groups; g++) {
    let f0 = f32x4.splat(0),
      f1 = f32x4.splat(0)
    for (let x = a.x; x < end; x += 4) {
      const v = v128.load32_splat(x),
        w = v128.load(p)
      f0 = madd(f16Low(w), v, f0)
      f1 = madd(f16High(w), v, f1)
      p += 16
    }
    v128.store(out, f0)
    v128.store(out, f1, 16)
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
