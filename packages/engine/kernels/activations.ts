// x (tokens, cols), f32 → integers by blocks of 32, once for all products that share it.
//
// Weights with 4 and 6 bits meet x as bytes where the machine has relaxed dot products; weights with 8 bits, and all
// weights elsewhere, meet it as 16-bit integers. Those cost nothing more to be precise, so they are: 13 bits, which is as
// many as 6-bit weights leave room for in 32. Every four of them are stored as (0, 2, 1, 3): the even and the odd bytes
// of a 32-bit lane of weights each find their pair in one lane. Without SIMD they stay in order.

import { ARGUMENTS, OP_QUANTIZE, announce, join, take } from './jobs'
import { maxF32, relaxed, shortSums, sumI32 } from './lanes'
import * as scalar from './scalar/activations'

const BYTE_RANGE: f32 = 127
/** 63 · 4064 · 16 · 128 · 2, a block of Q6_K with its scales, stays below 2^31. */
export const SHORT_RANGE: f32 = 4064

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
  /** (tokens, cols / 32), f32: x = scale · byte */
  scales: usize
  /** (tokens, cols / 32), f32: x = scale · short */
  shortScales: usize
  /** (tokens, cols / 32), f32: the sum of x over the block, as quantized */
  sums: usize
  /** (tokens, cols / 32): where a product with weights from -8 starts that are stored from 0, see {@link storeSums} */
  eights: usize
  /** (tokens, cols / 16), a half block each: the same for weights from -32 */
  halves: usize
}

export function activations(): Activations {
  return changetype<Activations>(ARGUMENTS)
}

/** One of the quantized rows, as a record of its own at `at`. */
export function ofToken(token: i32, at: usize): Activations {
  const all = activations()
  if (token == 0) return all
  const one = changetype<Activations>(at)
  const values = <usize>(token * all.cols)
  const blocks = values >> 5
  one.tokens = 1
  one.cols = all.cols
  one.x = all.x + (values << 2)
  one.bytes = all.bytes + values
  one.shorts = all.shorts + (values << 1)
  one.scales = all.scales + (blocks << 2)
  one.shortScales = all.shortScales + (blocks << 2)
  one.sums = all.sums + (blocks << 2)
  one.eights = all.eights + (blocks << 2)
  one.halves = all.halves + (blocks << 3)
  return one
}

export const NEED_BYTES: i32 = 1
export const NEED_SHORTS: i32 = 2

/** Rows of whole tiles (tile.ts), which go through four tokens at a time. */
function wholeTiles(tokens: i32): i32 {
  return (tokens + 3) & ~3
}

/** Bytes that {@link quantize} wants for `tokens` rows of `cols` values. */
export function activationBytes(tokens: i32, cols: i32): usize {
  return <usize>(wholeTiles(tokens) * (cols / 32)) * (32 + 64 + 4 + 4 + 4 + 4 + 8)
}

/** Quantizes `tokens` rows at x into the buffer at `at`. @returns 1 if a thread has failed */
export function quantize(x: usize, tokens: i32, cols: i32, needs: i32, at: usize): i32 {
  const a = activations()
  const blocks = <usize>(wholeTiles(tokens) * (cols / 32))
  a.x = x
  a.tokens = tokens
  a.cols = cols
  a.bytes = needs & NEED_BYTES ? at : 0
  a.shorts = needs & NEED_SHORTS ? at + blocks * 32 : 0
  a.scales = at + blocks * 96
  a.shortScales = at + blocks * 100
  a.sums = at + blocks * 104
  a.eights = at + blocks * 108
  a.halves = at + blocks * 112
  if (needs == 0) return 0
  clearScales(a, <usize>(tokens * (cols / 32)), blocks)
  announce(OP_QUANTIZE, tokens, blocks * 128)
  quantizeItems()
  return join()
}

/** Rows that only fill up the last tile, whatever is in them, come to nothing. */
function clearScales(a: Activations, from: usize, end: usize): void {
  const at = from << 2,
    bytes = (end - from) << 2
  memory.fill(a.scales + at, 0, bytes)
  memory.fill(a.shortScales + at, 0, bytes)
  memory.fill(a.sums + at, 0, bytes)
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
  if (!ASC_FEATURE_SIMD) return scalar.quantizeBlock(a, <usize>b, x)
  let largest = f32x4.abs(v128.load(x))
  for (let i: usize = 16; i < 128; i += 16) largest = f32x4.max(largest, f32x4.abs(v128.load(x + i)))
  const range = maxF32(largest)
  if (a.bytes) quantizeBytes(a, <usize>b, x, range)
  if (a.shorts) quantizeShorts(a, <usize>b, x, range)
}

function quantizeBytes(a: Activations, b: usize, x: usize, range: f32): void {
  const scale = range / BYTE_RANGE
  const inverse = inverseOf(scale)
  const to = a.bytes + (b << 5)
  const first = sixteenBytes(x, inverse, to)
  const second = sixteenBytes(x + 64, inverse, to + 16)
  store<f32>(a.scales + (b << 2), scale)
  storeSums(a, b, scale, first, second)
}

function quantizeShorts(a: Activations, b: usize, x: usize, range: f32): void {
  const scale = range / SHORT_RANGE
  const inverse = inverseOf(scale)
  const to = a.shorts + (b << 6)
  const first = sixteenShorts(x, inverse, to)
  const second = sixteenShorts(x + 64, inverse, to + 32)
  store<f32>(a.shortScales + (b << 2), scale)
  // sums correct for unsigned weights, and with relaxed dot products those meet bytes
  if (!relaxed) storeSums(a, b, scale, first, second)
}

/**
 * Weights are stored unsigned: what is subtracted from each is subtracted once, times the sum of x, by starting there.
 * `first` and `second`: sums over a half block of every fourth integer.
 *
 * With sums in 16 bits a start is two of them, one for each lane of a row. Partial sums may wrap around: the totals,
 * at most 16 · 8 · 127 and 8 · 32 · 127, fit.
 */
function storeSums(a: Activations, b: usize, scale: f32, first: v128, second: v128): void {
  const both = i32x4.add(first, second)
  store<f32>(a.sums + (b << 2), scale * <f32>sumI32(both))
  storeStart(a.eights + (b << 2), both, -8)
  storeStart(a.halves + (b << 3), first, -32)
  storeStart(a.halves + (b << 3) + 4, second, -32)
}

function storeStart(to: usize, sums: v128, factor: i32): void {
  if (shortSums) {
    store<i16>(to, <i16>((i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1)) * factor))
    store<i16>(to, <i16>((i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3)) * factor), 2)
  } else {
    store<i32>(to, sumI32(sums) * factor)
  }
}

/** Zero for a scale so small that its inverse is no f32. */
function inverseOf(scale: f32): v128 {
  return f32x4.splat(scale > 1e-36 ? <f32>1 / scale : 0)
}

/** @returns the sums of every fourth integer stored */
function sixteenBytes(x: usize, inverse: v128, to: usize): v128 {
  const q0 = rounded(v128.load(x), inverse)
  const q1 = rounded(v128.load(x, 16), inverse)
  const q2 = rounded(v128.load(x, 32), inverse)
  const q3 = rounded(v128.load(x, 48), inverse)
  v128.store(to, i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(q0, q1), i16x8.narrow_i32x4_s(q2, q3)))
  return i32x4.add(i32x4.add(q0, q1), i32x4.add(q2, q3))
}

/** @returns the sums of every fourth integer stored */
function sixteenShorts(x: usize, inverse: v128, to: usize): v128 {
  const q0 = rounded(v128.load(x), inverse)
  const q1 = rounded(v128.load(x, 16), inverse)
  const q2 = rounded(v128.load(x, 32), inverse)
  const q3 = rounded(v128.load(x, 48), inverse)
  v128.store(to, evensFirst(i16x8.narrow_i32x4_s(q0, q1)))
  v128.store(to, evensFirst(i16x8.narrow_i32x4_s(q2, q3)), 16)
  return i32x4.add(i32x4.add(q0, q1), i32x4.add(q2, q3))
}

function rounded(x: v128, inverse: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(x, inverse)))
}

function evensFirst(v: v128): v128 {
  return v128.shuffle<i16>(v, v, 0, 2, 1, 3, 4, 6, 5, 7)
}
