// What attention does with a page, without SIMD: four queries at a time as there, one position or dimension at a time.

import { HALF_EXPONENT } from '../lanes'
import { exp, f16Bits, f16Raw } from './numbers'

/** k and v (width) of one position as f16: K goes to every eighth lane. */
export function storePosition(k: usize, v: usize, toK: usize, toV: usize, width: usize): void {
  for (let d: usize = 0; d < width; d++) {
    store<u16>(toK + d * 16, <u16>f16Bits(load<f32>(k + d * 4)))
    store<u16>(toV + d * 2, <u16>f16Bits(load<f32>(v + d * 4)))
  }
}

/** scores (4, 64) = query · K, for `count` positions */
export function scorePage(query: usize, page: usize, width: usize, count: i32, scores: usize): void {
  const end = query + (width << 4)
  for (let i: usize = 0; i < <usize>count; i++) {
    let k = page + (i >> 3) * width * 16 + (i & 7) * 2
    let s0: f32 = 0
    let s1: f32 = 0
    let s2: f32 = 0
    let s3: f32 = 0
    for (let q = query; q < end; q += 16) {
      const value = f16Raw(k)
      s0 += value * load<f32>(q)
      s1 += value * load<f32>(q, 4)
      s2 += value * load<f32>(q, 8)
      s3 += value * load<f32>(q, 12)
      k += 16
    }
    const to = scores + (i << 2)
    store<f32>(to, s0)
    store<f32>(to, s1, 256)
    store<f32>(to, s2, 512)
    store<f32>(to, s3, 768)
  }
}

/** The largest of `before` and the scores. */
export function largestOf(scores: usize, end: usize, before: f32): f32 {
  let largest = before
  for (let p = scores; p < end; p += 4) largest = max(largest, load<f32>(p))
  return largest
}

/** Scores become weights e^(score - largest), times what V lacks in exponent. @returns their sum, without that */
export function toWeights(scores: usize, end: usize, largest: f32): f32 {
  let total: f32 = 0
  for (let p = scores; p < end; p += 4) {
    const weight = exp(load<f32>(p) - largest)
    store<f32>(p, weight * HALF_EXPONENT)
    total += weight
  }
  return total
}

/** sum (4, width) = sum · shrink (4) + weights (4, count) · V (count, width) */
export function addValues(
  sum: usize,
  shrink: usize,
  weights: usize,
  values: usize,
  width: usize,
  count: i32,
): void {
  const query = width << 2
  const end = weights + ((<usize>count) << 2)
  for (let d: usize = 0; d < width; d++) {
    const to = sum + (d << 2)
    let s0 = load<f32>(to) * load<f32>(shrink)
    let s1 = load<f32>(to + query) * load<f32>(shrink, 4)
    let s2 = load<f32>(to + query * 2) * load<f32>(shrink, 8)
    let s3 = load<f32>(to + query * 3) * load<f32>(shrink, 12)
    let v = values + (d << 1)
    for (let p = weights; p < end; p += 4) {
      const value = f16Raw(v)
      s0 += value * load<f32>(p)
      s1 += value * load<f32>(p, 256)
      s2 += value * load<f32>(p, 512)
      s3 += value * load<f32>(p, 768)
      v += width << 1
    }
    store<f32>(to, s0)
    store<f32>(to + query, s1)
    store<f32>(to + query * 2, s2)
    store<f32>(to + query * 3, s3)
  }
}
