// Causal attention over a paged f16 cache, with a running softmax: no row of scores longer than a page. Four queries that
// share a KV head go through it together, be they heads of one token or tokens of a prompt: widening K and V to f32
// costs as much as multiplying them once. What f16 lacks in exponent when widened is made up for in the queries and in
// the weights of V, of which there are fewer.
//
// Page (64 positions), per KV head, 256 · headDim bytes:
//   K  eight blocks of eight positions, each (headDim, 8) f16: a lane is a position, scores need no sum across lanes
//   V  (64, headDim) f16: a lane is a dimension
//
// headDim here is that of the model rounded up to 8, the lanes beyond it zero.

import { ARGUMENTS, OP_ATTEND, OP_STORE_KV, announce, join, scratchOf, take } from './jobs'
import {
  HALF_BITS,
  HALF_EXPONENT,
  exp,
  f16HighRaw,
  f16LowRaw,
  f16Narrowed,
  f16Packed,
  madd,
  maxF32,
  sumF32,
} from './lanes'
import * as scalar from './scalar/attention'
import * as numbers from './scalar/numbers'

export const PAGE_POSITIONS: i32 = 64

@unmanaged
class AttentionJob {
  /** (queries, heads · headDim) */
  out: usize
  q: usize
  /** (rows, kvHeads · headDim) */
  k: usize
  v: usize
  /** Addresses of the cache's pages, in order. */
  pages: usize
  /** Of k and v while they are stored, then of q. */
  rows: i32
  heads: i32
  kvHeads: i32
  headDim: i32
  /** Of the first of these rows. */
  position: i32
  /** headDim rounded up to 8: as the cache has it. */
  width: i32
}

// A thread's scratch: scores of a page (4, 64) · limits, largest scores, totals and shrinkage, four each · queries,
// scaled (width, 4), or a key · the weighted sums of V so far (4, width), or a value.
const SCORES: usize = 0
const LIMITS: usize = 0x400
const LARGEST: usize = 0x410
const TOTALS: usize = 0x420
const SHRINK: usize = 0x430
const QUERY: usize = 0x1000
const SUM: usize = 0x4000

/**
 * Stores k and v at `position` of the cache, then attends. headDim is at most 512; the pages for position + rows exist.
 *
 * @param queries how many rows, the last ones, have a query: (queries, heads · headDim) in q and out
 * @returns 1 if a thread has failed
 */
export function attention(
  out: usize,
  q: usize,
  k: usize,
  v: usize,
  pages: usize,
  rows: i32,
  queries: i32,
  heads: i32,
  kvHeads: i32,
  headDim: i32,
  position: i32,
): i32 {
  const job = changetype<AttentionJob>(ARGUMENTS)
  job.out = out
  job.q = q
  job.k = k
  job.v = v
  job.pages = pages
  job.rows = rows
  job.heads = heads
  job.kvHeads = kvHeads
  job.headDim = headDim
  job.position = position
  job.width = (headDim + 7) & ~7
  announce(OP_STORE_KV, kvHeads, <usize>(rows * kvHeads * job.width * 16))
  storeItems(0)
  if (join()) return 1
  job.rows = queries
  job.position = position + rows - queries
  announce(OP_ATTEND, kvHeads * foursOf(job), <usize>((position + rows) * kvHeads * job.width * 4))
  attendItems(0)
  return join()
}

/** Times four queries per KV head: rows by the query heads that share it, in this order. */
function foursOf(job: AttentionJob): i32 {
  return ((job.rows * job.heads) / job.kvHeads + 3) >> 2
}

export function storeItems(thread: i32): void {
  const job = changetype<AttentionJob>(ARGUMENTS)
  const scratch = scratchOf(thread)
  for (let item = take(); item >= 0; item = take()) {
    storeHead(job, item, scratch)
  }
}

/** Where the given position of a KV head begins: its page. */
function pageOf(job: AttentionJob, position: i32, head: i32): usize {
  return load<usize>(job.pages + ((<usize>(position >> 6)) << 2)) + ((<usize>head * <usize>job.width) << 8)
}

/** (count) f32, and zeros up to the width of the cache. */
function copyPadded(to: usize, from: usize, job: AttentionJob): void {
  memory.fill(to, 0, (<usize>job.width) << 2)
  memory.copy(to, from, (<usize>job.headDim) << 2)
}

function storeHead(job: AttentionJob, head: i32, scratch: usize): void {
  const dim = <usize>job.width
  const k = scratch + QUERY,
    v = scratch + SUM
  for (let row = 0; row < job.rows; row++) {
    const position = job.position + row
    const page = pageOf(job, position, head),
      inPage = <usize>(position & 63)
    const from = (<usize>((row * job.kvHeads + head) * job.headDim)) << 2
    copyPadded(k, job.k + from, job)
    copyPadded(v, job.v + from, job)
    const toK = page + (inPage >> 3) * dim * 16 + (inPage & 7) * 2
    const toV = page + dim * 128 + inPage * dim * 2
    storePosition(k, v, toK, toV, dim)
  }
}

/** k and v (width) of one position as f16: K goes to every eighth lane. */
function storePosition(k: usize, v: usize, toK: usize, toV: usize, width: usize): void {
  if (!ASC_FEATURE_SIMD) return scalar.storePosition(k, v, toK, toV, width)
  for (let d: usize = 0; d < width; d += 8) {
    const low = f16Narrowed(v128.load(k + d * 4)),
      high = f16Narrowed(v128.load(k + d * 4, 16))
    const lane = toK + d * 16
    v128.store_lane<i16>(lane, low, 0)
    v128.store_lane<i16>(lane, low, 2, 16)
    v128.store_lane<i16>(lane, low, 4, 32)
    v128.store_lane<i16>(lane, low, 6, 48)
    v128.store_lane<i16>(lane, high, 0, 64)
    v128.store_lane<i16>(lane, high, 2, 80)
    v128.store_lane<i16>(lane, high, 4, 96)
    v128.store_lane<i16>(lane, high, 6, 112)
    v128.store(toV + d * 2, f16Packed(v128.load(v + d * 4), v128.load(v + d * 4, 16)))
  }
}

export function attendItems(thread: i32): void {
  const job = changetype<AttentionJob>(ARGUMENTS)
  const fours = foursOf(job)
  for (let item = take(); item >= 0; item = take()) {
    attendFour(job, item / fours, (item % fours) << 2, scratchOf(thread))
  }
}

/** Queries `first` … `first` + 3 of a KV head; if there are fewer, the last one again. */
function attendFour(job: AttentionJob, kvHead: i32, first: i32, scratch: usize): void {
  const width = <usize>job.width
  const bytes = width << 2
  const sum = scratch + SUM
  let positions = 0
  for (let i = 0; i < 4; i++) positions = gatherQuery(job, kvHead, first, i, scratch)
  memory.fill(sum, 0, bytes << 2)
  for (let lane: usize = 0; lane < 16; lane += 4) {
    store<f32>(scratch + LARGEST + lane, -f32.MAX_VALUE)
    store<f32>(scratch + TOTALS + lane, 0)
  }
  for (let from = 0; from < positions; from += PAGE_POSITIONS) {
    const page = pageOf(job, from, kvHead)
    const count = min(PAGE_POSITIONS, positions - from)
    scorePage(scratch + QUERY, page, width, count, scratch + SCORES)
    for (let i = 0; i < 4; i++) weigh(scratch, i, from, count)
    addValues(sum, scratch + SHRINK, scratch + SCORES, page + width * 128, width, count)
  }
  const last = (job.rows * job.heads) / job.kvHeads - 1
  for (let i = 0; i < 4 && first + i <= last; i++) {
    const inverse = <f32>1 / load<f32>(scratch + TOTALS + ((<usize>i) << 2))
    const from = sum + bytes * <usize>i
    for (let d: usize = 0; d < bytes; d += 4) store<f32>(from + d, load<f32>(from + d) * inverse)
    memory.copy(job.out + offsetOf(job, kvHead, first + i), from, (<usize>job.headDim) << 2)
  }
}

/** Where query `query` of a KV head lies in q and out. */
function offsetOf(job: AttentionJob, kvHead: i32, query: i32): usize {
  const shared = job.heads / job.kvHeads
  const row = query / shared
  const head = kvHead * shared + (query % shared)
  return (<usize>((row * job.heads + head) * job.headDim)) << 2
}

/** Scales query `first` + i into its lane. @returns how many positions it sees; a later query sees no fewer */
function gatherQuery(job: AttentionJob, kvHead: i32, first: i32, i: i32, scratch: usize): i32 {
  const shared = job.heads / job.kvHeads
  const query = min(first + i, job.rows * shared - 1)
  const from = job.q + offsetOf(job, kvHead, query)
  const to = scratch + QUERY + ((<usize>i) << 2)
  const scale = HALF_EXPONENT / sqrt(<f32>job.headDim)
  for (let d: usize = 0; d < <usize>job.headDim; d++)
    store<f32>(to + (d << 4), load<f32>(from + (d << 2)) * scale)
  for (let d = <usize>job.headDim; d < <usize>job.width; d++) store<f32>(to + (d << 4), 0)
  const sees = job.position + query / shared + 1
  store<i32>(scratch + LIMITS + ((<usize>i) << 2), sees)
  return sees
}

/** scores (4, 64) = query · K, for `count` positions rounded up to eight */
function scorePage(query: usize, page: usize, width: usize, count: i32, scores: usize): void {
  if (!ASC_FEATURE_SIMD) return scalar.scorePage(query, page, width, count, scores)
  const bits = i32x4.splat(HALF_BITS)
  let k = page
  const end = query + (width << 4)
  for (let i = 0; i < count; i += 8) {
    let a0 = f32x4.splat(0)
    let a1 = f32x4.splat(0)
    let a2 = f32x4.splat(0)
    let a3 = f32x4.splat(0)
    let a4 = f32x4.splat(0)
    let a5 = f32x4.splat(0)
    let a6 = f32x4.splat(0)
    let a7 = f32x4.splat(0)
    for (let q = query; q < end; q += 16) {
      const h = v128.load(k)
      const k0 = f16LowRaw(h, bits)
      const k1 = f16HighRaw(h, bits)
      const q0 = v128.load32_splat(q)
      a0 = madd(k0, q0, a0)
      a1 = madd(k1, q0, a1)
      const q1 = v128.load32_splat(q, 4)
      a2 = madd(k0, q1, a2)
      a3 = madd(k1, q1, a3)
      const q2 = v128.load32_splat(q, 8)
      a4 = madd(k0, q2, a4)
      a5 = madd(k1, q2, a5)
      const q3 = v128.load32_splat(q, 12)
      a6 = madd(k0, q3, a6)
      a7 = madd(k1, q3, a7)
      k += 16
    }
    const to = scores + ((<usize>i) << 2)
    v128.store(to, a0)
    v128.store(to, a1, 16)
    v128.store(to, a2, 256)
    v128.store(to, a3, 272)
    v128.store(to, a4, 512)
    v128.store(to, a5, 528)
    v128.store(to, a6, 768)
    v128.store(to, a7, 784)
  }
}

/**
 * The running softmax of query i: its scores become weights e^(score - largest so far), zero for positions it does not
 * see; SHRINK says what earlier weights are worth now.
 */
function weigh(scratch: usize, i: i32, from: i32, count: i32): void {
  const lane = (<usize>i) << 2
  const scores = scratch + SCORES + ((<usize>i) << 8)
  const end = scores + ((<usize>count) << 2)
  const seen = min(count, max(0, load<i32>(scratch + LIMITS + lane) - from))
  for (let j = seen; j < count || j & 3; j++) store<f32>(scores + ((<usize>j) << 2), -f32.MAX_VALUE)
  const before = load<f32>(scratch + LARGEST + lane)
  const largest = largestOf(scores, end, before)
  const total = toWeights(scores, end, largest)
  const shrink = numbers.exp(before - largest)
  store<f32>(scratch + LARGEST + lane, largest)
  store<f32>(scratch + SHRINK + lane, shrink)
  store<f32>(scratch + TOTALS + lane, load<f32>(scratch + TOTALS + lane) * shrink + total)
}

/** The largest of `before` and the scores. */
function largestOf(scores: usize, end: usize, before: f32): f32 {
  if (!ASC_FEATURE_SIMD) return scalar.largestOf(scores, end, before)
  let most = f32x4.splat(before)
  for (let p = scores; p < end; p += 16) most = f32x4.pmax(most, v128.load(p))
  return maxF32(most)
}

/** Scores become weights e^(score - largest), times what V lacks in exponent. @returns their sum, without that */
function toWeights(scores: usize, end: usize, largest: f32): f32 {
  if (!ASC_FEATURE_SIMD) return scalar.toWeights(scores, end, largest)
  const largests = f32x4.splat(largest)
  let total = f32x4.splat(0)
  for (let p = scores; p < end; p += 16) {
    const weight = exp(f32x4.sub(v128.load(p), largests))
    v128.store(p, f32x4.mul(weight, f32x4.splat(HALF_EXPONENT)))
    total = f32x4.add(total, weight)
  }
  return sumF32(total)
}

/** sum (4, width) = sum · shrink (4) + weights (4, count) · V (count, width) */
function addValues(sum: usize, shrink: usize, weights: usize, values: usize, width: usize, count: i32): void {
  if (!ASC_FEATURE_SIMD) return scalar.addValues(sum, shrink, weights, values, width, count)
  const bits = i32x4.splat(HALF_BITS)
  const row = width << 1
  const query = width << 2
  const end = weights + ((<usize>count) << 2)
  for (let d: usize = 0; d < width; d += 8) {
    const to = sum + (d << 2)
    const s0 = v128.load32_splat(shrink)
    const s1 = v128.load32_splat(shrink, 4)
    const s2 = v128.load32_splat(shrink, 8)
    const s3 = v128.load32_splat(shrink, 12)
    let a0 = f32x4.mul(v128.load(to), s0)
    let a1 = f32x4.mul(v128.load(to, 16), s0)
    let a2 = f32x4.mul(v128.load(to + query), s1)
    let a3 = f32x4.mul(v128.load(to + query, 16), s1)
    let a4 = f32x4.mul(v128.load(to + query * 2), s2)
    let a5 = f32x4.mul(v128.load(to + query * 2, 16), s2)
    let a6 = f32x4.mul(v128.load(to + query * 3), s3)
    let a7 = f32x4.mul(v128.load(to + query * 3, 16), s3)
    let v = values + (d << 1)
    for (let p = weights; p < end; p += 4) {
      const h = v128.load(v)
      const v0 = f16LowRaw(h, bits)
      const v1 = f16HighRaw(h, bits)
      const p0 = v128.load32_splat(p)
      a0 = madd(v0, p0, a0)
      a1 = madd(v1, p0, a1)
      const p1 = v128.load32_splat(p, 256)
      a2 = madd(v0, p1, a2)
      a3 = madd(v1, p1, a3)
      const p2 = v128.load32_splat(p, 512)
      a4 = madd(v0, p2, a4)
      a5 = madd(v1, p2, a5)
      const p3 = v128.load32_splat(p, 768)
      a6 = madd(v0, p3, a6)
      a7 = madd(v1, p3, a7)
      v += row
    }
    v128.store(to, a0)
    v128.store(to, a1, 16)
    v128.store(to + query, a2)
    v128.store(to + query, a3, 16)
    v128.store(to + query * 2, a4)
    v128.store(to + query * 2, a5, 16)
    v128.store(to + query * 3, a6)
    v128.store(to + query * 3, a7, 16)
  }
}
