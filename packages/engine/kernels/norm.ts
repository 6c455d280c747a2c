// out (rows, dim) = x / rms(x) · weight, row by row; and silu(gate) · up, element by element.

import { ARGUMENTS, OP_NORM, OP_SWIGLU, announce, join, take } from './jobs'
import { exp, madd, sumF32 } from './lanes'
import * as scalar from './scalar/numbers'

@unmanaged
class NormJob {
  out: usize
  x: usize
  weight: usize
  dim: i32
  eps: f32
}

/** @returns 1 if a thread has failed */
export function rmsNorm(out: usize, x: usize, weight: usize, rows: i32, dim: i32, eps: f32): i32 {
  const job = changetype<NormJob>(ARGUMENTS)
  job.out = out
  job.x = x
  job.weight = weight
  job.dim = dim
  job.eps = eps
  announce(OP_NORM, rows, (<usize>(rows * dim)) << 4)
  normItems()
  return join()
}

export function normItems(): void {
  const job = changetype<NormJob>(ARGUMENTS)
  const bytes = (<usize>job.dim) << 2
  for (let row = take(); row >= 0; row = take()) {
    normRow(job.out + <usize>row * bytes, job.x + <usize>row * bytes, job.weight, bytes, job.eps)
  }
}

function normRow(out: usize, x: usize, weight: usize, bytes: usize, eps: f32): void {
  const whole: usize = ASC_FEATURE_SIMD ? bytes & ~15 : 0
  let total: f32 = 0
  if (ASC_FEATURE_SIMD) {
    let squares = f32x4.splat(0)
    for (let i: usize = 0; i < whole; i += 16) {
      const v = v128.load(x + i)
      squares = madd(v, v, squares)
    }
    total = sumF32(squares)
  }
  for (let i = whole; i < bytes; i += 4) total += load<f32>(x + i) * load<f32>(x + i)
  const scale = <f32>1 / sqrt(total / <f32>(bytes >> 2) + eps)
  if (ASC_FEATURE_SIMD) {
    const scales = f32x4.splat(scale)
    for (let i: usize = 0; i < whole; i += 16) {
      v128.store(out + i, f32x4.mul(f32x4.mul(v128.load(x + i), scales), v128.load(weight + i)))
    }
  }
  for (let i = whole; i < bytes; i += 4) store<f32>(out + i, load<f32>(x + i) * scale * load<f32>(weight + i))
}

@unmanaged
class SwigluJob {
  gate: usize
  up: usize
  n: i32
}

/** Values per item. */
const SWIGLU_CHUNK: i32 = 16384

/** gate (n) = silu(gate) · up, in place. @returns 1 if a thread has failed */
export function swiglu(gate: usize, up: usize, n: i32): i32 {
  const job = changetype<SwigluJob>(ARGUMENTS)
  job.gate = gate
  job.up = up
  job.n = n
  announce(OP_SWIGLU, (n + SWIGLU_CHUNK - 1) / SWIGLU_CHUNK, (<usize>n) << 4)
  swigluItems()
  return join()
}

export function swigluItems(): void {
  const job = changetype<SwigluJob>(ARGUMENTS)
  for (let item = take(); item >= 0; item = take()) {
    const from = item * SWIGLU_CHUNK
    const end = (<usize>min(from + SWIGLU_CHUNK, job.n)) << 2
    let i = (<usize>from) << 2
    if (ASC_FEATURE_SIMD) {
      for (; i + 16 <= end; i += 16) {
        v128.store(job.gate + i, gated(v128.load(job.gate + i), v128.load(job.up + i)))
      }
    }
    for (; i < end; i += 4) {
      const gate = load<f32>(job.gate + i)
      store<f32>(job.gate + i, (gate / (1 + scalar.exp(-gate))) * load<f32>(job.up + i))
    }
  }
}

function gated(gate: v128, up: v128): v128 {
  const one = f32x4.splat(1)
  return f32x4.mul(f32x4.div(gate, f32x4.add(one, exp(f32x4.neg(gate)))), up)
}
