// A vocabulary's logits, of one token: the largest, probabilities, and the likely ones among them. Tens of microseconds,
// which other threads would take to come; so the caller works alone.

import { exp, maxF32, sumF32 } from './lanes'
import * as numbers from './scalar/numbers'

/** Values whose sum f32 holds well. */
const SUMMED: i32 = 4096

/** The first of the largest of x (n). */
export function argmax(x: usize, n: i32): i32 {
  return max(0, firstAtLeast(x, n, largestOf(x, n), 0))
}

/** x (n) = e^(x / temperature) over the sum of all; the largest is taken off first, so that no exponential overflows. */
export function softmax(x: usize, n: i32, temperature: f32): void {
  const largest = largestOf(x, n)
  let total: f64 = 0
  for (let from = 0; from < n; from += SUMMED) {
    total += <f64>toPowers(x + ((<usize>from) << 2), min(SUMMED, n - from), largest, temperature)
  }
  scale(x, n, <f32>(1 / total))
}

/** The first of x (n), from number `from` on, that is `least` or more; -1 if there is none. */
export function firstAtLeast(x: usize, n: i32, least: f32, from: i32): i32 {
  let i = from
  if (ASC_FEATURE_SIMD) {
    const bound = f32x4.splat(least)
    for (; i + 16 <= n; i += 16) {
      const p = x + ((<usize>i) << 2)
      const low = v128.or(f32x4.ge(v128.load(p), bound), f32x4.ge(v128.load(p, 16), bound))
      const high = v128.or(f32x4.ge(v128.load(p, 32), bound), f32x4.ge(v128.load(p, 48), bound))
      if (v128.any_true(v128.or(low, high))) break
    }
  }
  for (; i < n; i++) if (load<f32>(x + ((<usize>i) << 2)) >= least) return i
  return -1
}

function largestOf(x: usize, n: i32): f32 {
  const end = x + ((<usize>n) << 2)
  let largest = -f32.MAX_VALUE
  let p = x
  if (ASC_FEATURE_SIMD) {
    let most = f32x4.splat(largest)
    for (; p + 16 <= end; p += 16) most = f32x4.pmax(most, v128.load(p))
    largest = maxF32(most)
  }
  for (; p < end; p += 4) largest = max(largest, load<f32>(p))
  return largest
}

/** x (n) = e^((x - largest) / temperature). @returns their sum */
function toPowers(x: usize, n: i32, largest: f32, temperature: f32): f32 {
  const end = x + ((<usize>n) << 2)
  let total: f32 = 0
  let p = x
  if (ASC_FEATURE_SIMD) {
    const largests = f32x4.splat(largest)
    const temperatures = f32x4.splat(temperature)
    let sums = f32x4.splat(0)
    for (; p + 16 <= end; p += 16) {
      const power = exp(f32x4.div(f32x4.sub(v128.load(p), largests), temperatures))
      v128.store(p, power)
      sums = f32x4.add(sums, power)
    }
    total = sumF32(sums)
  }
  for (; p < end; p += 4) {
    const power = numbers.exp((load<f32>(p) - largest) / temperature)
    store<f32>(p, power)
    total += power
  }
  return total
}

function scale(x: usize, n: i32, by: f32): void {
  const end = x + ((<usize>n) << 2)
  let p = x
  if (ASC_FEATURE_SIMD) {
    const factors = f32x4.splat(by)
    for (; p + 16 <= end; p += 16) v128.store(p, f32x4.mul(v128.load(p), factors))
  }
  for (; p < end; p += 4) store<f32>(p, load<f32>(p) * by)
}
