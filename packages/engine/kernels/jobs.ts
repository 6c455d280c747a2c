// One job at a time: the caller writes what is to be done and opens the job; whoever is awake enters and takes items
// until none is left; the caller closes the job and waits for those inside. Nobody waits for a thread that has not come:
// waking one takes longer than many a job. Between jobs threads poll for a moment, then sleep.
//
// Threads listen in arena 0. A job of another arena is announced there, and waited for there.
//
// Addresses below are those of the memory map in index.ts. Each counter has a cache line of its own.

import { announce as announceInFirst, join as joinInFirst } from './arenas'

/** Counts jobs; threads sleep on it. */
const EPOCH: usize = 0x40
/** Threads inside the job, plus CLOSED unless it is open; the caller sleeps on it. */
const INSIDE: usize = 0x80
const CLOSED: i32 = -0x40000000
/** The next item to take. */
const NEXT: usize = 0xc0
/** Threads asleep on EPOCH: nobody asleep, nobody to wake. */
const ASLEEP: usize = 0x100
/** Threads that have not yet left their loop, while they are asked to; the caller sleeps on it. */
const STAYING: usize = 0x108
/** Not zero once a thread has trapped: its job has failed, later ones do without threads. */
const FAILED: usize = 0x104
/** Threads, the caller included. */
const THREADS: usize = 0x140
/** Scratch of the caller; that of thread i follows at i · SCRATCH_BYTES. */
const SCRATCH: usize = 0x144
const OP: usize = 0x148
const ITEMS: usize = 0x14c
/** Not zero if the job is everybody's. */
const SHARED: usize = 0x150
/** Number of this arena. Threads listen to arena 0; the job of another one is announced there. */
const ARENA: usize = 0x154
/** Whose job it is, if it is OP_ELSEWHERE. */
const WHERE: usize = 0x158

/** The arguments of the job: each op lays its own record over it. */
export const ARGUMENTS: usize = 0x180
export const SCRATCH_BYTES: usize = 0x10000

/**
 * Polls before a thread sleeps, a third of a nanosecond each: a layer's next product comes within some 100 µs, the next
 * token of another device's turn does not. And before the caller sleeps: who has not finished its item by then has
 * lost its core to another program, and may want this one.
 */
const JOB_POLLS: i32 = 300000
const JOIN_POLLS: i32 = 50000

/** Some 3 µs of work: a thread that is awake joins in within one, one that sleeps does not. */
const WORTH_SHARING: usize = 1 << 16

export const OP_LEAVE: i32 = 0
export const OP_QUANTIZE: i32 = 1
export const OP_PRODUCTS: i32 = 2
export const OP_STORE_KV: i32 = 3
export const OP_ATTEND: i32 = 4
export const OP_NORM: i32 = 5
export const OP_ROPE: i32 = 6
export const OP_SWIGLU: i32 = 7
export const OP_READ: i32 = 8
export const OP_ELSEWHERE: i32 = 9

/** Called while no thread is in its loop. Memory is zero elsewhere. */
export function setUp(arena: i32, threads: i32, scratch: usize): void {
  store<i32>(INSIDE, CLOSED)
  store<i32>(ARENA, arena)
  store<i32>(THREADS, threads)
  store<usize>(SCRATCH, scratch)
}

export function threads(): i32 {
  return load<i32>(THREADS)
}

export function scratchOf(thread: i32): usize {
  return load<usize>(SCRATCH) + <usize>thread * SCRATCH_BYTES
}

export function currentOp(): i32 {
  return load<i32>(OP)
}

/** The arena whose job OP_ELSEWHERE is. */
export function currentArena(): i32 {
  return load<i32>(WHERE)
}

/** The next item of the job, or -1 when all are taken. */
export function take(): i32 {
  let item: i32
  if (ASC_FEATURE_THREADS) {
    item = atomic.add<i32>(NEXT, 1)
  } else {
    item = load<i32>(NEXT)
    store<i32>(NEXT, item + 1)
  }
  return item < load<i32>(ITEMS) ? item : -1
}

/**
 * Announces a job of `items` items to all threads; to nobody if it is small. The caller takes its share, then calls
 * {@link join}.
 *
 * @param bytes of memory that the job goes through, roughly: some 20 of them take a nanosecond
 */
export function announce(op: i32, items: i32, bytes: usize): void {
  store<i32>(OP, op)
  const isShared = threads() > 1 && items > 1 && bytes >= WORTH_SHARING && !load<i32>(FAILED)
  store<i32>(SHARED, isShared ? 1 : 0)
  store<i32>(ITEMS, items)
  if (!ASC_FEATURE_THREADS) {
    store<i32>(NEXT, 0)
    return
  }
  atomic.store<i32>(NEXT, 0)
  if (!load<i32>(SHARED)) return
  const arena = load<i32>(ARENA)
  if (arena == 0) openJob()
  else store<i32>(SHARED, announceInFirst(arena))
}

/** In arena 0: announces the job that was written in another one. @returns 0 if there are no threads any more */
export function announceFor(arena: i32): i32 {
  if (!ASC_FEATURE_THREADS) return 0
  if (load<i32>(FAILED)) return 0
  store<i32>(OP, OP_ELSEWHERE)
  store<i32>(WHERE, arena)
  openJob()
  return 1
}

function openJob(): void {
  atomic.store<i32>(INSIDE, 0)
  wake()
}

function wake(): void {
  atomic.add<i32>(EPOCH, 1)
  if (atomic.load<i32>(ASLEEP) > 0) atomic.notify(EPOCH, -1)
}

/** Returns when nobody works on the job any more. @returns 0, or 1 if a thread has failed */
export function join(): i32 {
  if (!ASC_FEATURE_THREADS) return 0
  if (!load<i32>(SHARED)) return 0
  return load<i32>(ARENA) == 0 ? joinThreads() : joinInFirst()
}

/** In arena 0: closes the job and returns when nobody works on it any more. @returns 0, or 1 if a thread has failed */
export function joinThreads(): i32 {
  if (!ASC_FEATURE_THREADS) return 0
  let inside = atomic.add<i32>(INSIDE, CLOSED) + CLOSED
  for (let polls = 0; polls < JOIN_POLLS && inside != CLOSED; polls++) inside = atomic.load<i32>(INSIDE)
  while (inside != CLOSED) {
    atomic.wait<i32>(INSIDE, inside, -1)
    inside = atomic.load<i32>(INSIDE)
  }
  return atomic.load<i32>(FAILED)
}

/**
 * In arena 0: lets all threads out of their loops, and returns when they are; those not yet in theirs go in and out.
 *
 * @returns 0, or 1 if a thread has failed: then they are left where they are
 */
export function leave(): i32 {
  if (!ASC_FEATURE_THREADS) return 0
  if (load<i32>(FAILED)) return 1
  store<i32>(OP, OP_LEAVE)
  atomic.store<i32>(STAYING, threads() - 1)
  wake()
  let staying = atomic.load<i32>(STAYING)
  while (staying != 0) {
    atomic.wait<i32>(STAYING, staying, -1)
    staying = atomic.load<i32>(STAYING)
  }
  return 0
}

/** The number of the last job, for threads that go into their loops. */
export function lastJob(): i32 {
  return load<i32>(EPOCH)
}

/** Waits for the job after number `seen`. @returns its number */
export function nextJob(seen: i32): i32 {
  if (!ASC_FEATURE_THREADS) return 0
  for (let polls = 0; polls < JOB_POLLS; polls++) {
    const epoch = atomic.load<i32>(EPOCH)
    if (epoch != seen) return epoch
  }
  atomic.add<i32>(ASLEEP, 1)
  let epoch = atomic.load<i32>(EPOCH)
  while (epoch == seen) {
    atomic.wait<i32>(EPOCH, seen, -1)
    epoch = atomic.load<i32>(EPOCH)
  }
  atomic.sub<i32>(ASLEEP, 1)
  return epoch
}

/** @returns false if the job was closed before this thread came */
export function enterJob(): bool {
  if (!ASC_FEATURE_THREADS) return false
  let inside = atomic.load<i32>(INSIDE)
  while (inside >= 0) {
    const was = atomic.cmpxchg<i32>(INSIDE, inside, inside + 1)
    if (was == inside) return true
    inside = was
  }
  return false
}

export function leaveJob(): void {
  if (!ASC_FEATURE_THREADS) return
  if (atomic.sub<i32>(INSIDE, 1) == CLOSED + 1) atomic.notify(INSIDE, 1)
}

/** This thread is out of its loop. */
export function leaveLoop(): void {
  if (!ASC_FEATURE_THREADS) return
  if (atomic.sub<i32>(STAYING, 1) == 1) atomic.notify(STAYING, 1)
}

/** For a thread that has trapped, inside a job: nobody waits for it, and everybody knows. */
export function abandon(): void {
  if (!ASC_FEATURE_THREADS) return
  atomic.store<i32>(FAILED, 1)
  leaveJob()
}
