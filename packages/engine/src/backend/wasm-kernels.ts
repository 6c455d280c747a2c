/**
 * What the compiled kernels export (kernels/index.ts) and which of their builds suits this machine.
 *
 * @module
 */
import { hasSimd } from '../simd.ts'

/** Addresses and sizes are i32: JavaScript may pass any number below 2^32. What returns `Failed` says 1 if a thread died. */
export type Kernels = {
  setUp(arena: number, threads: number, scratch: number): void
  threadLoop(thread: number, seen: number): void
  leave(): Failed
  lastJob(): number
  takePart(thread: number): void
  announceFor(arena: number): 0 | 1
  joinThreads(): Failed
  abandon(): void
  activationBytes(tokens: number, cols: number): number
  beginProducts(x: number, tokens: number, cols: number, buffer: number): void
  addProduct(out: number, weights: number, type: number, rows: number, bias: number, add: number): void
  runProducts(): Failed
  unpackRow(out: number, weights: number, type: number, row: number, cols: number): void
  rmsNorm(out: number, x: number, weight: number, rows: number, dim: number, eps: number): Failed
  rope(x: number, turns: number, rows: number, heads: number, headDim: number, adjacent: number): Failed
  attention(
    out: number,
    q: number,
    k: number,
    v: number,
    pages: number,
    rows: number,
    queries: number,
    heads: number,
    kvHeads: number,
    headDim: number,
    position: number,
  ): Failed
  swiglu(gate: number, up: number, n: number): Failed
  argmax(x: number, n: number): number
  softmax(x: number, n: number, temperature: number): void
  firstAtLeast(x: number, n: number, least: number, from: number): number
  checksum(offset: number, byteLength: number, seed: number): number
  readThrough(from: number, byteLength: number): Failed
}

export type Failed = 0 | 1

/** First address that the kernels leave to us, and bytes of scratch per thread (kernels/index.ts, jobs.ts). */
export const heapStart = 0x400
export const scratchBytes = 0x10000
/** Products of one list (matmul.ts). */
export const maxProducts = 16
/** Tokens whose activations are held at once (matmul.ts). */
export const batchTokens = 128

/** Four queries and four sums of this width fit in a thread's scratch (attention.ts). */
export const maxHeadDim = 512

/** How products are summed (kernels/build.mjs). */
export const arithmetics = ['relaxed-short', 'relaxed', 'simd', 'scalar'] as const
export type Arithmetic = (typeof arithmetics)[number]

/** A file in packages/engine/build, without `.wasm`. */
export type Variant = Arithmetic | `${Arithmetic}-threads`

export const sayArithmetic: Record<Arithmetic, string> = {
  relaxed: 'relaxed SIMD',
  'relaxed-short': 'relaxed SIMD, 16-bit sums',
  simd: 'SIMD',
  scalar: 'no SIMD',
}

/**
 * (func (result i32) lane 0 of i32x4.relaxed_dot_i8x16_i7x16_add_s(127 …, −1 …, 0 …)). The second operand is out of the
 * range that the specification defines, so the answer tells how the machine does it.
 */
const probe = Uint8Array.from(
  atob(
    'AGFzbQEAAAABBQFgAAF/AwIBAAcJAQVwcm9iZQAACkABPgD9DH9/f39/f39/f39/f39/f3/9DP/////////////////////9DAAAAAAAAAAAAAAAAAAAAAD9kwL9GwAL',
  ),
  (character) => character.charCodeAt(0),
)

/**
 * Relaxed SIMD: Chromium 114, Firefox 146. Where its 32-bit dot product is one instruction, it answers 4 · 127 · −1
 * (ARM's sdot) or 4 · 127 · 255 (x86 with AVX-VNNI); elsewhere it is three, which saturate on the way, and summing in
 * 16 bits is faster by a third. So it is where a compiler gets it wrong, as the baseline one of V8 11.3 does.
 */
export function chooseArithmetic(): Arithmetic {
  if (!hasSimd()) return 'scalar'
  if (!WebAssembly.validate(probe)) return 'simd'
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(probe))
  const answer = (exports as { probe(): number }).probe()
  return answer === -508 || answer === 129_540 ? 'relaxed' : 'relaxed-short'
}
