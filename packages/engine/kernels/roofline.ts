// What memory gives: the same walk over weights, by the same threads, with nothing to compute. Benches divide the kernels'
// speed by it.

import { ARGUMENTS, OP_READ, announce, join, take } from './jobs'
import { sumI32 } from './lanes'

@unmanaged
class ReadJob {
  from: usize
  byteLength: usize
}

const ITEM_BYTES: usize = 1 << 18

/** @returns 1 if a thread has failed */
export function readThrough(from: usize, byteLength: usize): i32 {
  const job = changetype<ReadJob>(ARGUMENTS)
  job.from = from
  job.byteLength = byteLength
  announce(OP_READ, <i32>((byteLength + ITEM_BYTES - 1) / ITEM_BYTES), byteLength)
  readItems()
  return join()
}

/** @returns what was read, folded: a walk without a result would be no walk */
export function readItems(): i32 {
  const job = changetype<ReadJob>(ARGUMENTS)
  let folded = 0
  for (let item = take(); item >= 0; item = take()) {
    const from = <usize>item * ITEM_BYTES
    folded ^= readRange(job.from + from, min(ITEM_BYTES, job.byteLength - from) & ~63)
  }
  return folded
}

function readRange(from: usize, byteLength: usize): i32 {
  if (!ASC_FEATURE_SIMD) return readWords(from, byteLength)
  let s0 = i32x4.splat(0)
  let s1 = i32x4.splat(0)
  let s2 = i32x4.splat(0)
  let s3 = i32x4.splat(0)
  for (const end = from + byteLength; from < end; from += 64) {
    s0 = v128.xor(s0, v128.load(from))
    s1 = v128.xor(s1, v128.load(from, 16))
    s2 = v128.xor(s2, v128.load(from, 32))
    s3 = v128.xor(s3, v128.load(from, 48))
  }
  return sumI32(v128.xor(v128.xor(s0, s1), v128.xor(s2, s3)))
}

/** The same without SIMD. */
function readWords(from: usize, byteLength: usize): i32 {
  let s0: u64 = 0
  let s1: u64 = 0
  for (let p = from, end = from + byteLength; p < end; p += 16) {
    s0 ^= load<u64>(p)
    s1 ^= load<u64>(p, 8)
  }
  return <i32>(s0 ^ s1)
}
