// x (tokens, cols), f32 → int8 by blocks of 32, once for all products that share it.
//
// Weights with 4 and 6 bits meet x as bytes, weights with 8 bits as 16-bit integers. In the latter every four values
// are stored as (0, 2, 1, 3): the even and the odd bytes of a 32-bit lane of weights each find their pair in one lane.

import { ARGUMENTS, OP_QUANTIZE, announce, join, take } from './jobs'
import { maxF32, sumI32 } from './lanes'

/** Where the quantized rows lie. The record of a quantize job and the head of a products job. */
@unmanaged
export class Activations {
  /** x (tokens, cols), f32 */
  x: usize
  tokens: i32
  cols: i32
  /** (tokens, cols), int8; 0 when no product wants it */
  bytes: usize
  /** (tokens, cols), int16, (0, 2, 1, 3); 0 when no product wants it */
  shorts: usize
  /** (tokens, cols / 32), f32: x = scale · integer */
  scales: usize
  /** (tokens, cols / 32), f32: the sum of x over the block, as quantized */
  sums: usize
  /** (tokens, cols / 16), i32: 32 times the sum of the integers of each half block */
  halves: usize
}

export function activations(): Activations {
  return changetype<Activations>(ARGUMENTS)
}

export const NEED_BYTES: i32 = 1
export const NEED_SHORTS: i32 = 2

/** Bytes that {@link quantize} writes for `tokens` rows of `cols` values. */
export function activationBytes(tokens: i32, cols: i32): usize {
  return <usize>(tokens * (cols / 32)) * (32 + 64 + 4 + 4 + 8)
}

/** Quantizes `tokens` rows at x into the buffer at `at`. @returns 1 if a thread has failed */
export function quantize(x: usize, tokens: i32, cols: i32, needs: i32, at: usize): i32 {
  const a = activations()
  const blocks = <usize>(tokens * (cols / 32))
  a.x = x
  a.tokens = tokens
  a.cols = cols
  a.bytes = needs & NEED_BYTES ? at : 0
  a.shorts = needs & NEED_SHORTS ? at + blocks * 32 : 0
  a.scales = at + blocks * 96
  a.sums = at + blocks * 100
  a.halves = at + blocks * 104
  if (needs == 0) return 0
  announce(OP_QUANTIZE, tokens)
  quantizeItems()
  return join()
}

export function quantizeItems(): void {
  const a = activations()
  const blocks = a.cols / 32
  for (let token = take(); token >= 0; token = take()) {
    for (let b = token * blocks, end = b + blocks; b < end; b++) quantizeBlock(a, b)
  }
}

function quantizeBlock(a: Activations, b: i32): void {
  const x = a.x + ((<usize>b) << 7)
  const x0 = v128.load(x),
    x1 = v128.load(x, 16),
    x2 = v128.load(x, 32),
    x3 = v128.load(x, 48)
  const x4 = v128.load(x, 64),
    x5 = v128.load(x, 80),
    x6 = v128.load(x, 96),
    x7 = v128.load(x, 112)
  const largest = maxF32(
    f32x4.max(
      f32x4.max(f32x4.max(f32x4.abs(x0), f32x4.abs(x1)), f32x4.max(f32x4.abs(x2), f32x4.abs(x3))),
      f32x4.max(f32x4.max(f32x4.abs(x4), f32x4.abs(x5)), f32x4.max(f32x4.abs(x6), f32x4.abs(x7))),
    ),
  )
  const scale = largest / 127
  // below this, 127 / largest is no f32
  const inverse = f32x4.splat(largest > 1e-30 ? 127 / largest : 0)
  const q0 = rounded(x0, inverse),
    q1 = rounded(x1, inverse),
    q2 = rounded(x2, inverse),
    q3 = rounded(x3, inverse)
  const q4 = rounded(x4, inverse),
    q5 = rounded(x5, inverse),
    q6 = rounded(x6, inverse),
    q7 = rounded(x7, inverse)
  const first = sumI32(i32x4.add(i32x4.add(q0, q1), i32x4.add(q2, q3)))
  const second = sumI32(i32x4.add(i32x4.add(q4, q5), i32x4.add(q6, q7)))
  store<f32>(a.scales + ((<usize>b) << 2), scale)
  store<f32>(a.sums + ((<usize>b) << 2), scale * <f32>(first + second))
  store<i32>(a.halves + ((<usize>b) << 3), first * 32)
  store<i32>(a.halves + ((<usize>b) << 3), second * 32, 4)
  const s0 = i16x8.narrow_i32x4_s(q0, q1),
    s1 = i16x8.narrow_i32x4_s(q2, q3)
  const s2 = i16x8.narrow_i32x4_s(q4, q5),
    s3 = i16x8.narrow_i32x4_s(q6, q7)
  if (a.bytes) {
    const bytes = a.bytes + ((<usize>b) << 5)
    v128.store(bytes, i8x16.narrow_i16x8_s(s0, s1))
    v128.store(bytes, i8x16.narrow_i16x8_s(s2, s3), 16)
  }
  if (a.shorts) {
    const shorts = a.shorts + ((<usize>b) << 6)
    v128.store(shorts, evensFirst(s0))
    v128.store(shorts, evensFirst(s1), 16)
    v128.store(shorts, evensFirst(s2), 32)
    v128.store(shorts, evensFirst(s3), 48)
  }
}

function rounded(x: v128, inverse: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(x, inverse)))
}

function evensFirst(v: v128): v128 {
  return v128.shuffle<i16>(v, v, 0, 2, 1, 3, 4, 6, 5, 7)
}
