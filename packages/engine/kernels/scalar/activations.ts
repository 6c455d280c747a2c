// x → 16-bit integers, without SIMD.

import { Activations, SHORT_RANGE } from '../activations'

/** Block `b`, which lies at `x`. */
export function quantizeBlock(a: Activations, b: usize, x: usize): void {
  let range: f32 = 0
  for (let i: usize = 0; i < 128; i += 4) range = max(range, abs(load<f32>(x + i)))
  const scale = range / SHORT_RANGE
  // zero for a scale so small that its inverse is no f32
  const inverse: f32 = scale > 1e-36 ? <f32>1 / scale : 0
  const first = quantizeHalf(x, inverse, a.shorts + (b << 6))
  const second = quantizeHalf(x + 64, inverse, a.shorts + (b << 6) + 32)
  store<f32>(a.shortScales + (b << 2), scale)
  store<f32>(a.sums + (b << 2), scale * <f32>(first + second))
  store<i32>(a.eights + (b << 2), -8 * (first + second))
  store<i32>(a.halves + (b << 3), -32 * first)
  store<i32>(a.halves + (b << 3), -32 * second, 4)
}

/** @returns the sum of the integers stored */
function quantizeHalf(x: usize, inverse: f32, shorts: usize): i32 {
  let sum = 0
  for (let i: usize = 0; i < 16; i++) {
    const q = <i32>nearest(load<f32>(x + (i << 2)) * inverse)
    store<i16>(shorts + (i << 1), <i16>q)
    sum += q
  }
  return sum
}
