// The kernels: one module over one imported memory, built in several variants (build.mjs).
//
//   0x0000  nothing: a null pointer stays null
//   0x0040  counters of the current job, a cache line each (jobs.ts)
//   0x0140  threads · scratch · op · items · whether it is shared · which arena this is, and whose job it is
//   0x0180  arguments of the op: a record per op
//   0x0200  products of a matmul, 16 × 32 bytes
//   0x0400  the heap, handed out by wasm-heap.ts: weights, caches, vectors, 64 KiB of scratch per thread
//
// The caller's thread writes a job, all threads take items of it, the caller returns when the last is done. Pointers and
// sizes in, nothing allocated.
//
// A memory spans 4 GiB at most, so there may be several: arenas, over each of which every thread has an instance of the
// kernels. A job and all that it touches lie in one arena. Threads wait in arena 0; when the job is in another one, they
// are called there and go over to their instance of that arena.

import { quantizeItems } from './activations'
import { takePart as takePartIn } from './arenas'
import { attendItems, storeItems } from './attention'
import {
  OP_ATTEND,
  OP_ELSEWHERE,
  OP_LEAVE,
  OP_NORM,
  OP_PRODUCTS,
  OP_QUANTIZE,
  OP_READ,
  OP_ROPE,
  OP_STORE_KV,
  OP_SWIGLU,
  currentArena,
  currentOp,
  enterJob,
  leaveJob,
  leaveLoop,
  nextJob,
} from './jobs'
import { productItems } from './matmul'
import { normItems, swigluItems } from './norm'
import { readItems } from './roofline'
import { ropeItems } from './rope'

export { setUp, lastJob, announceFor, joinThreads, leave, abandon } from './jobs'
export { activationBytes } from './activations'
export { beginProducts, addProduct, runProducts } from './matmul'
export { unpackRow } from './weights'
export { rmsNorm, swiglu } from './norm'
export { rope } from './rope'
export { attention } from './attention'
export { argmax, firstAtLeast, softmax } from './sampling'
export { checksum } from './checksum'
export { readThrough } from './roofline'

/** What every thread but the caller's does in arena 0, from the job after number `seen` until leave() lets it go. */
export function threadLoop(thread: i32, seen: i32): void {
  for (let job = nextJob(seen); currentOp() != OP_LEAVE; job = nextJob(job)) {
    if (!enterJob()) continue
    if (currentOp() == OP_ELSEWHERE) takePartIn(currentArena(), thread)
    else takePart(thread)
    leaveJob()
  }
  leaveLoop()
}

/** Takes items of this arena's job until none is left. */
export function takePart(thread: i32): void {
  const op = currentOp()
  if (op == OP_PRODUCTS) productItems(thread)
  else if (op == OP_ATTEND) attendItems(thread)
  else if (op == OP_QUANTIZE) quantizeItems()
  else if (op == OP_STORE_KV) storeItems(thread)
  else if (op == OP_NORM) normItems()
  else if (op == OP_ROPE) ropeItems()
  else if (op == OP_SWIGLU) swigluItems()
  else if (op == OP_READ) readItems()
}
