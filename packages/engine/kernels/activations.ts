// x (tokens, cols), f32 → integers by blocks of 32, once for all products that share it.
//
// Weights with 4 and 6 bits meet x as bytes where the machine has relaxed dot products; weights with 8 bits, and all
// weights elsewhere, meet it as 16-bit integers. Those cost nothing more to be precise, so they are: 13 bits, which is as
// many as 6-bit weights leave room for in 32. Every four of them are stored as (0, 2, 1, 3): the even and the odd bytes
// of a 32-bit lane of weights each find their pair in one lane. Without SIMD they stay in order.
//
// A third form is for tiles of 4-bit weights with sums in 16 bits: bytes of two blocks in each word, with one scale for both.

import { ARGUMENTS, OP_QUANTIZE, announce, join, take } from './jobs'
import { highHalves, lowHalves, maxF32, relaxed, shortSums, sumI32 } from './lanes'
import * as scalar from './scalar/activations'

const BYTE_RANGE: f32 = 127
/** 63 · 4064 · 16 · 128 · 2, a block of Q6_K with its scales, stays below 2^31. */
export const SHORT_RANGE: f32 = 4064

/** Columns of a panel (tile.ts), and of sums that share a scale. */
export const PANEL_COLS: i32 = 1024
/** Sums of x and, in tiles, minima of weights: 8191 · 8191 · 32, a panel of them, stays below 2^31. */
export const PAIR_RANGE: f32 = 8191

/**
 * Where the quantized rows lie. The record of a quantize job and the head of a products job.
 *
 * For the tiles (tile.ts) four tokens lie together: all below is (tokens / 4, …, 4), a 32-bit word of each token in turn.
 */
@unmanaged
export class Activations {
  /** x (tokens, cols), f32 */
  x: usize
  tokens: i32
  cols: i32
  /** Tokens that lie together: 1 or 4. */
  lanes: usize
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
  /** (tokens, cols / 64): the sums of two blocks, int16 with {@link PAIR_RANGE}; 0 when no product wants them */
  pairs: usize
  /** (tokens, cols / {@link PANEL_COLS}, rounded up), f32: what the pairs count */
  pairScales: usize
  /** (tokens, cols), for tiles: int8, two blocks to a word, see {@link quantizeJoined}; 0 when no product wants it */
  joined: usize
  /** (tokens, cols / 64 rounded up), for tiles: two words of {@link JOINT_BYTES}, four tokens of each in turn */
  joints: usize
}

/** Of two joined blocks and four tokens: their scale, f32, and where sums start, two i16. */
export const JOINT_BYTES: usize = 32
export const JOINT_STARTS: usize = 16

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
  one.lanes = 1
  one.cols = all.cols
  one.x = all.x + (values << 2)
  one.bytes = all.bytes + values
  one.shorts = all.shorts + (values << 1)
  one.scales = all.scales + (blocks << 2)
  one.shortScales = all.shortScales + (blocks << 2)
  one.sums = all.sums + (blocks << 2)
  one.eights = all.eights + (blocks << 2)
  one.halves = all.halves + (blocks << 3)
  one.pairs = all.pairs + (blocks << 1)
  one.pairScales = all.pairScales + ((<usize>(token * panelsOf(all.cols))) << 2)
  return one
}

export const NEED_BYTES: i32 = 1
export const NEED_SHORTS: i32 = 2
export const NEED_PAIRS: i32 = 4
/** In tiles; fewer tokens go as bytes. */
export const NEED_JOINED: i32 = 8

/** Rows of whole tiles (tile.ts), which go through four tokens at a time. */
function wholeTiles(tokens: i32): i32 {
  return (tokens + 3) & ~3
}

/** Two blocks each; the last may lack its second. */
function jointsOf(cols: i32): usize {
  return <usize>((cols + 32) >> 6)
}

/** Bytes that {@link quantize} wants for `tokens` rows of `cols` values. */
export function activationBytes(tokens: i32, cols: i32): usize {
  return (
    <usize>wholeTiles(tokens) *
    (<usize>(cols / 32) * (32 + 64 + 4 + 4 + 4 + 4 + 8 + 2 + 4) + jointsOf(cols) * (64 + 8))
  )
}

/**
 * Quantizes `tokens` rows at x into the buffer at `at`.
 *
 * @param lanes 1, or 4 for tiles
 * @returns 1 if a thread has failed
 */
export function quantize(x: usize, tokens: i32, cols: i32, needs: i32, lanes: i32, at: usize): i32 {
  const a = activations()
  const blocks = <usize>(wholeTiles(tokens) * (cols / 32))
  a.x = x
  a.tokens = tokens
  a.cols = cols
  a.lanes = lanes
  const asBytes = lanes == 1 ? NEED_BYTES | NEED_JOINED : NEED_BYTES
  const joints = <usize>wholeTiles(tokens) * jointsOf(cols)
  a.bytes = needs & asBytes ? at : 0
  a.shorts = needs & NEED_SHORTS ? at + blocks * 32 : 0
  a.scales = at + blocks * 96
  a.shortScales = at + blocks * 100
  a.sums = at + blocks * 104
  a.eights = at + blocks * 108
  a.halves = at + blocks * 112
  a.pairs = needs & NEED_PAIRS ? at + blocks * 120 : 0
  a.pairScales = at + blocks * 122
  a.joints = at + blocks * 126
  a.joined = needs & ~asBytes & NEED_JOINED ? a.joints + joints * 8 : 0
  if (needs == 0) return 0
  announce(OP_QUANTIZE, (tokens + <i32>lanes - 1) / <i32>lanes, blocks * 128)
  quantizeItems()
  return join()
}

export function quantizeItems(): void {
  const a = activations()
  const lanes = <i32>a.lanes
  // tokens that lie together share cache lines, so one thread writes them
  for (let item = take(); item >= 0; item = take()) {
    const first = item * lanes
    const end = min(first + lanes, a.tokens)
    for (let token = first; token < end; token++) quantizeToken(a, token)
    // rows that only fill up the last tile come to nothing
    for (let row = end; row < first + lanes; row++) clearToken(a, row)
  }
}

function quantizeToken(a: Activations, token: i32): void {
  const blocks = a.cols / 32
  const x = a.x + ((<usize>token * <usize>a.cols) << 2)
  if (a.bytes || a.shorts) {
    for (let b = 0; b < blocks; b++) quantizeBlock(a, token, b, x + ((<usize>b) << 7))
  }
  if (shortSums && a.joined) {
    for (let b = 0; b < blocks; b += 2) quantizeJoined(a, token, b, x + ((<usize>b) << 7), b + 1 < blocks)
  }
  if (ASC_FEATURE_SIMD && a.pairs) pairSums(a, token)
}

/** Where block `b` of a token has its word, of those of all tokens and blocks. In tiles, panel by panel. */
function wordOf(a: Activations, token: i32, b: i32): usize {
  const blocks = a.cols >> 5
  if (a.lanes == 1) return <usize>(token * blocks + b)
  const first = b & ~(PANEL_COLS / 32 - 1)
  const inPanel = min(PANEL_COLS / 32, blocks - first)
  const tiles = (a.tokens + 3) >> 2
  return <usize>(((first * tiles + (token >> 2) * inPanel + b - first) << 2) + (token & 3))
}

/** The largest of some values, without signs. */
function rangeOf(x: usize, bytes: usize): f32 {
  // pmax is one instruction where max, which lets NaN through, is several
  let largest = f32x4.abs(v128.load(x))
  for (let i: usize = 16; i < bytes; i += 16) largest = f32x4.pmax(largest, f32x4.abs(v128.load(x + i)))
  return maxF32(largest)
}

function quantizeBlock(a: Activations, token: i32, b: i32, x: usize): void {
  if (!ASC_FEATURE_SIMD) return scalar.quantizeBlock(a, wordOf(a, token, b), x)
  const range = rangeOf(x, 128)
  const word = wordOf(a, token, b)
  const lane: usize = a.lanes == 1 ? 0 : <usize>(token & 3)
  if (a.bytes) quantizeBytes(a, word, lane, x, range)
  if (a.shorts) quantizeShorts(a, word, lane, x, range)
}

/** Where the tile of a token has blocks b and b + 1, joined, among those of all tiles. Panel by panel. */
function jointOf(a: Activations, token: i32, b: i32): usize {
  const joints = <i32>jointsOf(a.cols)
  const first = (b & ~(PANEL_COLS / 32 - 1)) >> 1
  const inPanel = min(PANEL_COLS / 64, joints - first)
  const tiles = (a.tokens + 3) >> 2
  return <usize>(first * tiles + (token >> 2) * inPanel + (b >> 1) - first)
}

/** The sums of a token as integers, each panel of the tiles beside its largest. */
function pairSums(a: Activations, token: i32): void {
  const blocks = a.cols >> 5
  const step = a.lanes << 2
  let pair = a.pairs + (inTurns(a, token, 0, blocks >> 1) << 2)
  let panel = a.pairScales + (inTurns(a, token, 0, panelsOf(a.cols)) << 2)
  for (let from = 0; from < blocks; from += PANEL_COLS / 32) {
    const sums = a.sums + (wordOf(a, token, from) << 2)
    const end = sums + <usize>min(PANEL_COLS / 32, blocks - from) * step
    let largest: f32 = 1e-36
    for (let p = sums; p < end; p += step) largest = max(largest, abs(load<f32>(p)))
    const inverse = PAIR_RANGE / largest
    for (let p = sums; p < end; p += step * 2) {
      store<i16>(pair, <i16>nearest(load<f32>(p) * inverse))
      store<i16>(pair, <i16>nearest(load<f32>(p + step) * inverse), 2)
      pair += step
    }
    store<f32>(panel, largest / PAIR_RANGE)
    panel += step
  }
}

/** Panels of a token, the last of which may be shorter. */
export function panelsOf(cols: i32): i32 {
  return (cols + PANEL_COLS - 1) / PANEL_COLS
}

/** Where a token has word `i` of `count`, of those of all tokens. In tiles, in turns with the other three. */
function inTurns(a: Activations, token: i32, i: i32, count: i32): usize {
  if (a.lanes == 1) return <usize>(token * count + i)
  return <usize>((((token >> 2) * count + i) << 2) + (token & 3))
}

function clearToken(a: Activations, token: i32): void {
  for (let b = 0; b < a.cols >> 5; b++) {
    const word = wordOf(a, token, b) << 2
    store<f32>(a.scales + word, 0)
    store<f32>(a.shortScales + word, 0)
  }
  for (let b = 0; a.joined && b < a.cols >> 5; b += 2) {
    store<f32>(a.joints + jointOf(a, token, b) * JOINT_BYTES + ((<usize>(token & 3)) << 2), 0)
  }
  const panels = panelsOf(a.cols)
  for (let panel = 0; a.pairs && panel < panels; panel++) {
    store<f32>(a.pairScales + (inTurns(a, token, panel, panels) << 2), 0)
  }
}

function quantizeBytes(a: Activations, word: usize, lane: usize, x: usize, range: f32): void {
  const scale = range / BYTE_RANGE
  const inverse = inverseOf(scale)
  const large = f32x4.splat(ROUNDING)
  const step = a.lanes << 2
  const to = a.bytes + ((word - lane) << 5) + (lane << 2)
  const first = sixteenBytes(x, inverse, large, to, step)
  const second = sixteenBytes(x + 64, inverse, large, to + step * 4, step)
  store<f32>(a.scales + (word << 2), scale)
  storeSums(a, word, lane, scale, first, second)
}

/**
 * Blocks b and b + 1, if there is one: word q has bytes 4q and 4q + 1 of both, word 8 + q bytes 4q + 2 and 4q + 3. Each is summed in a
 * half of a lane of its own, where 32 products with weights from -8 to 7 just fit.
 */
function quantizeJoined(a: Activations, token: i32, b: i32, x: usize, isWhole: bool): void {
  const scale = rangeOf(x, isWhole ? 256 : 128) / BYTE_RANGE
  const lane = (<usize>(token & 3)) << 2
  const joint = jointOf(a, token, b)
  const to = a.joined + (joint << 8) + lane
  const words = a.joints + joint * JOINT_BYTES + lane
  // a block that is not there is the first one times zero
  const y = isWhole ? x + 128 : x
  const inverse0 = inverseOf(scale)
  const inverse1 = isWhole ? inverse0 : f32x4.splat(0)
  const sums = i32x4.add(
    sixteenJoined(x, inverse0, y, inverse1, to),
    sixteenJoined(x + 64, inverse0, y + 64, inverse1, to + 64),
  )
  const sum0 = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1)
  const sum1 = i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3)
  store<f32>(words, scale)
  // partial sums may wrap around: the totals, at most 8 · 32 · 127, fit
  store<i16>(words + JOINT_STARTS, <i16>(sum0 * -8))
  store<i16>(words + JOINT_STARTS, <i16>(sum1 * -8), 2)
  store<f32>(a.sums + (wordOf(a, token, b) << 2), scale * <f32>sum0)
  if (isWhole) store<f32>(a.sums + (wordOf(a, token, b + 1) << 2), scale * <f32>sum1)
}

/**
 * Half of each of two blocks, x and y.
 *
 * @returns two sums of the first, then two of the second
 */
function sixteenJoined(x: usize, inverse0: v128, y: usize, inverse1: v128, to: usize): v128 {
  const large = f32x4.splat(ROUNDING)
  const q0 = rounded(v128.load(x), inverse0, large)
  const q1 = rounded(v128.load(x, 16), inverse0, large)
  const q2 = rounded(v128.load(x, 32), inverse0, large)
  const q3 = rounded(v128.load(x, 48), inverse0, large)
  const r0 = rounded(v128.load(y), inverse1, large)
  const r1 = rounded(v128.load(y, 16), inverse1, large)
  const r2 = rounded(v128.load(y, 32), inverse1, large)
  const r3 = rounded(v128.load(y, 48), inverse1, large)
  const first = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(q0, q1), i16x8.narrow_i32x4_s(q2, q3))
  const second = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(r0, r1), i16x8.narrow_i32x4_s(r2, r3))
  storeWords(to, 16, lowHalves(first, second))
  storeWords(to + 128, 16, highHalves(first, second))
  const firsts = i32x4.add(i32x4.add(q0, q1), i32x4.add(q2, q3))
  const seconds = i32x4.add(i32x4.add(r0, r1), i32x4.add(r2, r3))
  return i32x4.add(
    v128.shuffle<i32>(firsts, seconds, 0, 2, 4, 6),
    v128.shuffle<i32>(firsts, seconds, 1, 3, 5, 7),
  )
}

function quantizeShorts(a: Activations, word: usize, lane: usize, x: usize, range: f32): void {
  const scale = range / SHORT_RANGE
  const inverse = inverseOf(scale)
  const large = f32x4.splat(ROUNDING)
  const step = a.lanes << 2
  const to = a.shorts + ((word - lane) << 6) + (lane << 2)
  const first = sixteenShorts(x, inverse, large, to, step)
  const second = sixteenShorts(x + 64, inverse, large, to + step * 8, step)
  store<f32>(a.shortScales + (word << 2), scale)
  // sums correct for unsigned weights, and with relaxed dot products those meet bytes
  if (!relaxed) storeSums(a, word, lane, scale, first, second)
}

/**
 * Weights are stored unsigned: what is subtracted from each is subtracted once, times the sum of x, by starting there.
 * `first` and `second`: sums over a half block of every fourth integer.
 *
 * With sums in 16 bits a start is two of them, one for each lane of a row. Partial sums may wrap around: the totals,
 * at most 16 · 8 · 127 and 8 · 32 · 127, fit.
 */
function storeSums(a: Activations, word: usize, lane: usize, scale: f32, first: v128, second: v128): void {
  const both = i32x4.add(first, second)
  const half = a.halves + ((word * 2 - lane) << 2)
  store<f32>(a.sums + (word << 2), scale * <f32>sumI32(both))
  storeStart(a.eights + (word << 2), both, -8)
  storeStart(half, first, -32)
  storeStart(half + (a.lanes << 2), second, -32)
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
function sixteenBytes(x: usize, inverse: v128, large: v128, to: usize, step: usize): v128 {
  const q0 = rounded(v128.load(x), inverse, large)
  const q1 = rounded(v128.load(x, 16), inverse, large)
  const q2 = rounded(v128.load(x, 32), inverse, large)
  const q3 = rounded(v128.load(x, 48), inverse, large)
  const bytes = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(q0, q1), i16x8.narrow_i32x4_s(q2, q3))
  storeWords(to, step, bytes)
  return i32x4.add(i32x4.add(q0, q1), i32x4.add(q2, q3))
}

/** @returns the sums of every fourth integer stored */
function sixteenShorts(x: usize, inverse: v128, large: v128, to: usize, step: usize): v128 {
  const q0 = rounded(v128.load(x), inverse, large)
  const q1 = rounded(v128.load(x, 16), inverse, large)
  const q2 = rounded(v128.load(x, 32), inverse, large)
  const q3 = rounded(v128.load(x, 48), inverse, large)
  storeWords(to, step, evensFirst(i16x8.narrow_i32x4_s(q0, q1)))
  storeWords(to + step * 4, step, evensFirst(i16x8.narrow_i32x4_s(q2, q3)))
  return i32x4.add(i32x4.add(q0, q1), i32x4.add(q2, q3))
}

/** Four words, `step` bytes apart. */
function storeWords(to: usize, step: usize, words: v128): void {
  if (step == 4) return v128.store(to, words)
  v128.store32_lane(to, words, 0)
  v128.store32_lane(to + step, words, 1)
  v128.store32_lane(to + step * 2, words, 2)
  v128.store32_lane(to + step * 3, words, 3)
}

/** Added, so large a number leaves no room for fractions, and the integer in the lowest bits: 1.5 · 2^23. */
export const ROUNDING: f32 = 12582912

/** x · inverse as integers, nearest to it, up to 2^22. @param large {@link ROUNDING} in every lane */
export function rounded(x: v128, inverse: v128, large: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(x, inverse), large), large)
}

function evensFirst(v: v128): v128 {
  return v128.shuffle<i16>(v, v, 0, 2, 1, 3, 4, 6, 5, 7)
}
