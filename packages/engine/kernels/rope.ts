// Rotary position embedding: pairs of lanes of every head turned by an angle that grows with the position.

import { ARGUMENTS, OP_ROPE, announce, join, take } from './jobs'

@unmanaged
class RopeJob {
  /** (rows, heads · headDim) */
  x: usize
  /** (rows, headDim / 2) cosines, then the same of sines */
  turns: usize
  rows: i32
  heads: i32
  headDim: i32
  /** Pairs are lanes (2i, 2i + 1) if not zero, else (i, i + headDim / 2). */
  adjacent: i32
}

/** @returns 1 if a thread has failed */
export function rope(x: usize, turns: usize, rows: i32, heads: i32, headDim: i32, adjacent: i32): i32 {
  const job = changetype<RopeJob>(ARGUMENTS)
  job.x = x
  job.turns = turns
  job.rows = rows
  job.heads = heads
  job.headDim = headDim
  job.adjacent = adjacent
  announce(OP_ROPE, rows, (<usize>(rows * heads * headDim)) << 3)
  ropeItems()
  return join()
}

export function ropeItems(): void {
  const job = changetype<RopeJob>(ARGUMENTS)
  const half = (<usize>job.headDim) << 1 // bytes of half a head
  for (let row = take(); row >= 0; row = take()) {
    const cos = job.turns + <usize>row * half,
      sin = cos + <usize>job.rows * half
    let x = job.x + ((<usize>row * <usize>(job.heads * job.headDim)) << 2)
    for (let head = 0; head < job.heads; head++) {
      if (job.adjacent) turnAdjacent(x, cos, sin, half)
      else turnHalves(x, cos, sin, half)
      x += half << 1
    }
  }
}

function turnHalves(x: usize, cos: usize, sin: usize, half: usize): void {
  let i: usize = 0
  if (ASC_FEATURE_SIMD) {
    for (; i + 16 <= half; i += 16) {
      const a = v128.load(x + i),
        b = v128.load(x + half + i)
      const c = v128.load(cos + i),
        s = v128.load(sin + i)
      v128.store(x + i, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)))
      v128.store(x + half + i, f32x4.add(f32x4.mul(a, s), f32x4.mul(b, c)))
    }
  }
  for (; i < half; i += 4) turnPair(x + i, x + half + i, load<f32>(cos + i), load<f32>(sin + i))
}

function turnAdjacent(x: usize, cos: usize, sin: usize, half: usize): void {
  let i: usize = 0
  if (ASC_FEATURE_SIMD) {
    for (; i + 16 <= half; i += 16) {
      const low = v128.load(x + i * 2),
        high = v128.load(x + i * 2, 16)
      const a = v128.shuffle<i32>(low, high, 0, 2, 4, 6),
        b = v128.shuffle<i32>(low, high, 1, 3, 5, 7)
      const c = v128.load(cos + i),
        s = v128.load(sin + i)
      const first = f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s))
      const second = f32x4.add(f32x4.mul(a, s), f32x4.mul(b, c))
      v128.store(x + i * 2, v128.shuffle<i32>(first, second, 0, 4, 1, 5))
      v128.store(x + i * 2, v128.shuffle<i32>(first, second, 2, 6, 3, 7), 16)
    }
  }
  for (; i < half; i += 4) turnPair(x + i * 2, x + i * 2 + 4, load<f32>(cos + i), load<f32>(sin + i))
}

function turnPair(first: usize, second: usize, cos: f32, sin: f32): void {
  const a = load<f32>(first),
    b = load<f32>(second)
  store<f32>(first, a * cos - b * sin)
  store<f32>(second, a * sin + b * cos)
}
