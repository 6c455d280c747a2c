// Causal attention over a paged f16 cache, with a running softmax: no row of scores longer than a page.
//
// Page (64 positions), per KV head, 256 · headDim bytes:
//   K  eight blocks of eight positions, each (headDim, 8) f16: a lane is a position, scores need no sum across lanes
//   V  (64, headDim) f16: a lane is a dimension
//
// headDim here is that of the model rounded up to 8, the lanes beyond it zero.

import { ARGUMENTS, OP_ATTEND, OP_STORE_KV, announce, join, scratchOf, take } from './jobs'
import { exp, f16High, f16Low, f16Narrowed, f16Packed, madd, maxF32, sumF32 } from './lanes'

export const PAGE_POSITIONS: i32 = 64

@unmanaged
class AttentionJob {
  /** (rows, heads · headDim) */
  out: usize
  q: usize
  /** (rows, kvHeads · headDim) */
  k: usize
  v: usize
  /** Addresses of the cache's pages, in order. */
  pages: usize
  rows: i32
  heads: i32
  kvHeads: i32
  headDim: i32
  /** Of the first row. */
  position: i32
  /** headDim rounded up to 8: as the cache has it. */
  width: i32
}

// A thread's scratch: scores of a page · the query, scaled, or a key · the weighted sum of V so far, or a value.
const SCORES: usize = 0
const QUERY: usize = 0x100
const SUM: usize = 0x4100

/**
 * Stores k and v at `position` of the cache, then attends. headDim is at most 4096; the pages for position + rows exist.
 *
 * @returns 1 if a thread has failed
 */
export function attention(
  out: usize,
  q: usize,
  k: usize,
  v: usize,
  pages: usize,
  rows: i32,
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
  // for a few rows waking threads costs more than storing
  announce(OP_STORE_KV, rows < 8 ? 1 : kvHeads)
  storeItems(0)
  if (join()) return 1
  announce(OP_ATTEND, rows * kvHeads)
  attendItems(0)
  return join()
}

export function storeItems(thread: i32): void {
  const job = changetype<AttentionJob>(ARGUMENTS)
  const scratch = scratchOf(thread)
  for (let item = take(); item >= 0; item = take()) {
    if (job.rows >= 8) storeHead(job, item, scratch)
    else for (let head = 0; head < job.kvHeads; head++) storeHead(job, head, scratch)
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
    for (let d: usize = 0; d < dim; d += 8) {
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
}

export function attendItems(thread: i32): void {
  const job = changetype<AttentionJob>(ARGUMENTS)
  const shared = job.heads / job.kvHeads
  for (let item = take(); item >= 0; item = take()) {
    const row = item / job.kvHeads,
      kvHead = item % job.kvHeads
    for (let head = kvHead * shared; head < (kvHead + 1) * shared; head++) {
      attendHead(job, row, head, kvHead, scratchOf(thread))
    }
  }
}

function attendHead(job: AttentionJob, row: i32, head: i32, kvHead: i32, scratch: usize): void {
  const dim = <usize>job.width
  const at = (<usize>((row * job.heads + head) * job.headDim)) << 2
  const query = scratch + QUERY,
    sum = scratch + SUM
  const scale = f32x4.splat(<f32>1 / sqrt(<f32>job.headDim))
  copyPadded(query, job.q + at, job)
  for (let d: usize = 0; d < dim * 4; d += 16) v128.store(query + d, f32x4.mul(v128.load(query + d), scale))
  memory.fill(sum, 0, dim * 4)
  let largest = -f32.MAX_VALUE
  let total: f32 = 0
  const positions = job.position + row + 1
  for (let first = 0; first < positions; first += PAGE_POSITIONS) {
    const page = pageOf(job, first, kvHead)
    const count = min(PAGE_POSITIONS, positions - first)
    const pageLargest = max(largest, scorePage(query, page, dim, count, scratch + SCORES))
    const shrink = exp(f32x4.splat(largest - pageLargest))
    largest = pageLargest
    total = total * f32x4.extract_lane(shrink, 0) + weigh(scratch + SCORES, count, largest)
    addValues(sum, shrink, scratch + SCORES, page + dim * 128, dim, count)
  }
  const inverse = f32x4.splat(<f32>1 / total)
  for (let d: usize = 0; d < dim * 4; d += 16) v128.store(sum + d, f32x4.mul(v128.load(sum + d), inverse))
  memory.copy(job.out + at, sum, (<usize>job.headDim) << 2)
}

/** scores (count) = K · query; behind the last, the lowest f32. @returns the largest */
function scorePage(query: usize, page: usize, dim: usize, count: i32, scores: usize): f32 {
  let k = page
  const end = query + dim * 4
  for (let i = 0; i < count; i += 8) {
    let s0 = f32x4.splat(0),
      s1 = f32x4.splat(0)
    for (let q = query; q < end; q += 4) {
      const x = v128.load32_splat(q),
        w = v128.load(k)
      s0 = madd(f16Low(w), x, s0)
      s1 = madd(f16High(w), x, s1)
      k += 16
    }
    v128.store(scores + ((<usize>i) << 2), s0)
    v128.store(scores + ((<usize>i) << 2), s1, 16)
  }
  for (let i = count; i & 7; i++) store<f32>(scores + ((<usize>i) << 2), -f32.MAX_VALUE)
  let largest = v128.load(scores)
  for (let i = 4; i < count; i += 4) largest = f32x4.max(largest, v128.load(scores + ((<usize>i) << 2)))
  return maxF32(largest)
}

/** scores (count) = e^(scores - largest), in place. @returns their sum */
function weigh(scores: usize, count: i32, largest: f32): f32 {
  let total = f32x4.splat(0)
  const from = f32x4.splat(largest)
  for (let i = 0; i < count; i += 4) {
    const p = scores + ((<usize>i) << 2)
    const weight = exp(f32x4.sub(v128.load(p), from))
    v128.store(p, weight)
    total = f32x4.add(total, weight)
  }
  return sumF32(total)
}

/** sum (dim) = sum · shrink + weights (count) · V (count, dim) */
function addValues(sum: usize, shrink: v128, weights: usize, values: usize, dim: usize, count: i32): void {
  const row = dim << 1
  const end = weights + ((<usize>count) << 2)
  for (let d: usize = 0; d < dim; d += 8) {
    let s0 = f32x4.mul(v128.load(sum + d * 4), shrink),
      s1 = f32x4.mul(v128.load(sum + d * 4, 16), shrink)
    let v = values + d * 2
    for (let p = weights; p < end; p += 4) {
      const x = v128.load32_splat(p),
        w = v128.load(v)
      s0 = madd(f16Low(w), x, s0)
      s1 = madd(f16High(w), x, s1)
      v += row
    }
    v128.store(sum + d * 4, s0)
    v128.store(sum + d * 4, s1, 16)
  }
}
