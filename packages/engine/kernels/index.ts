// The kernels: one module over one imported memory, built in several variants (build.mjs).
//
//   0x0000  nothing: a null pointer stays null
//   0x0040  counters of the current job, a cache line each (jobs.ts)
//   0x0140  threads · scratch · op · items · whether it is shared
//   0x0180  arguments of the op: a record per op
//   0x0200  products of a matmul, 16 × 32 bytes
//   0x0400  the heap, handed out by wasm-memory.ts: weights, caches, vectors, 64 KiB of scratch per thread
//
// The caller's thread writes a job, all threads take items of it, the caller returns when the last is done. Pointers and
// sizes in, nothing allocated.

import { quantizeItems } from './activations'
import { attendItems, storeItems } from './attention'
import {
  OP_ATTEND,
  OP_NORM,
  OP_PRODUCTS,
  OP_QUANTIZE,
  OP_QUIT,
  OP_READ,
  OP_ROPE,
  OP_STORE_KV,
  OP_SWIGLU,
  currentOp,
  finish,
  nextJob,
} from './jobs'
import { productItems } from './matmul'
import { normItems, swigluItems } from './norm'
import { readItems } from './roofline'
import { ropeItems } from './rope'

export { setUp, abandon, quit } from './jobs'
export { activationBytes } from './activations'
export { beginProducts, addProduct, runProducts } from './matmul'
export { unpackRow } from './weights'
export { rmsNorm, swiglu } from './norm'
export { rope } from './rope'
export { attention } from './attention'
export { checksum } from './checksum'
export { readThrough } from './roofline'

/** What every thread but the caller's does, from its start to quit(). */
export function threadLoop(thread: i32): void {
  for (let job = nextJob(0); currentOp() != OP_QUIT; job = nextJob(job)) {
    takePart(currentOp(), thread)
    finish()
  }
}

function takePart(op: i32, thread: i32): void {
  if (op == OP_PRODUCTS) productItems(thread)
  else if (op == OP_ATTEND) attendItems(thread)
  else if (op == OP_QUANTIZE) quantizeItems()
  else if (op == OP_STORE_KV) storeItems(thread)
  else if (op == OP_NORM) normItems()
  else if (op == OP_ROPE) ropeItems()
  else if (op == OP_SWIGLU) swigluItems()
  else if (op == OP_READ) readItems()
}
