// One job at a time, shared by all threads: the caller writes what is to be done, everybody takes items until none is
// left, the caller waits for the last. Between jobs threads spin for a moment, then sleep.
//
// Addresses below are those of the memory map in index.ts. Each counter has a cache line of its own.

/** Counts jobs; threads sleep on it. */
const EPOCH: usize = 0x40
/** Threads that have not finished the job; the caller sleeps on it. */
const RUNNING: usize = 0x80
/** The next item to take. */
const NEXT: usize = 0xc0
/** Threads asleep on EPOCH: nobody asleep, nobody to wake. */
const ASLEEP: usize = 0x100
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

/** The arguments of the job: each op lays its own record over it. */
export const ARGUMENTS: usize = 0x180
export const SCRATCH_BYTES: usize = 0x10000

/**
 * Polls before a thread sleeps, a third of a nanosecond each: a layer's next product comes within some 60 µs, the next
 * token of another device's turn does not. And before the caller sleeps: who has not finished its item by then has
 * lost its core to another program, and may want this one.
 */
const JOB_POLLS: i32 = 200000
const JOIN_POLLS: i32 = 50000

/** Some 3 µs of work: a thread that is awake joins in within one, one that sleeps does not. */
const WORTH_SHARING: usize = 1 << 16

export const OP_QUIT: i32 = 0
export const OP_QUANTIZE: i32 = 1
export const OP_PRODUCTS: i32 = 2
export const OP_STORE_KV: i32 = 3
export const OP_ATTEND: i32 = 4
export const OP_NORM: i32 = 5
export const OP_ROPE: i32 = 6
export const OP_SWIGLU: i32 = 7
export const OP_READ: i32 = 8

/** Called once, before threads start. Memory is zero elsewhere. */
export function setUp(threads: i32, scratch: usize): void {
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
  if (load<i32>(SHARED)) wake()
}

function wake(): void {
  atomic.store<i32>(RUNNING, threads() - 1)
  atomic.add<i32>(EPOCH, 1)
  if (atomic.load<i32>(ASLEEP) > 0) atomic.notify(EPOCH, -1)
}

/** Returns when every thread has finished the job. @returns 0, or 1 if a thread has failed */
export function join(): i32 {
  if (!ASC_FEATURE_THREADS) return 0
  if (!load<i32>(SHARED)) return 0
  for (let polls = 0; polls < JOIN_POLLS; polls++) {
    if (atomic.load<i32>(RUNNING) == 0) return atomic.load<i32>(FAILED)
  }
  for (let left = atomic.load<i32>(RUNNING); left != 0; left = atomic.load<i32>(RUNNING)) {
    atomic.wait<i32>(RUNNING, left, -1)
  }
  return atomic.load<i32>(FAILED)
}

/** Ends the threads. */
export function quit(): void {
  if (!ASC_FEATURE_THREADS) return
  store<i32>(OP, OP_QUIT)
  wake()
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

/** This thread has done its share. */
export function finish(): void {
  if (!ASC_FEATURE_THREADS) return
  if (atomic.sub<i32>(RUNNING, 1) == 1) atomic.notify(RUNNING, 1)
}

/** For a thread that has trapped: nobody waits for it, and everybody knows. */
export function abandon(): void {
  if (!ASC_FEATURE_THREADS) return
  atomic.store<i32>(FAILED, 1)
  finish()
}
