/**
 * Streamed layers, read into slots in the order in which they run, over and over: while this device computes, while
 * others do, while frames travel, while a person reads.
 *
 * Source: prefetch of prima.cpp (arXiv 2504.08791 §3.1). A slot is filled again only when its layer has run, so nothing
 * that was read is thrown away before it is used (the paper's prefetch–release conflict, A.1, cannot happen).
 *
 * @module
 */
import type { Region } from '../backend/backend.ts'
import type { WeightStream } from '../model/weight-stream.ts'

export type ReadAheadOptions = {
  /** Streamed layers, in running order. */
  order: readonly number[]
  slots: readonly Region[]
  /** Fills a slot with a layer's packed bytes; gives up soon after `signal` aborts. */
  read(layer: number, slot: Region, signal: AbortSignal): Promise<void>
  /** False: a layer is read when it is asked for and no sooner, to see what reading ahead is worth. */
  ahead?: boolean
}

export type ReadAheadStats = {
  /** Layers handed out. */
  acquired: number
  /** How long layers were waited for. */
  waitedMs: number
}

export interface ReadAhead extends WeightStream {
  stats(): ReadAheadStats
  /** Stops reading; resolves when no slot is read into or in use any more. */
  close(): Promise<void>
}

type Slot = {
  region: Region
  layer: number | null
  running: boolean
  aborter: AbortController
  /** Of the read under way or done. */
  ready: Promise<void>
}

export function createReadAhead({ order, slots: regions, read, ahead = true }: ReadAheadOptions): ReadAhead {
  const slots = regions.map((region): Slot => {
    return { region, layer: null, running: false, aborter: new AbortController(), ready: Promise.resolve() }
  })
  const stats: ReadAheadStats = { acquired: 0, waitedMs: 0 }
  /** Index in `order` of the next layer to read. */
  let cursor = 0
  let closed = false
  let onreleased = () => {}

  function fill(): void {
    if (!ahead) return
    for (const slot of slots) if (!closed && slot.layer === null) begin(slot)
  }

  function begin(slot: Slot): void {
    const layer = order[cursor]!
    cursor = (cursor + 1) % order.length
    const wasAborted = slot.aborter.signal.aborted
    const aborter = new AbortController()
    slot.layer = layer
    slot.aborter = aborter
    const start = () => read(layer, slot.region, aborter.signal)
    // An aborted read may still be writing its last piece. Else at once: layers that run now let no promise go on.
    slot.ready = wasAborted ? slot.ready.catch(() => {}).then(start) : start()
    slot.ready.catch(() => {})
  }

  /** Another conversation began elsewhere than where the last one would have gone on. */
  function restart(layer: number): void {
    for (const slot of slots) {
      if (slot.running) continue
      slot.aborter.abort()
      slot.layer = null
    }
    cursor = order.indexOf(layer)
    begin(slots.find((slot) => slot.layer === null)!)
    fill()
  }

  const waitingFor = (layer: number) => slots.find((slot) => slot.layer === layer && !slot.running)

  fill()
  return {
    async acquire(layer) {
      if (!waitingFor(layer)) restart(layer)
      const slot = waitingFor(layer)!
      slot.running = true
      const startMs = performance.now()
      try {
        await slot.ready
      } catch (thrown) {
        slot.running = false
        slot.layer = null
        fill()
        throw thrown
      }
      stats.acquired++
      stats.waitedMs += performance.now() - startMs
      return slot.region
    },
    release(layer) {
      const slot = slots.find((slot) => slot.layer === layer && slot.running)
      if (!slot) return
      slot.running = false
      slot.layer = null
      fill()
      onreleased()
    },
    stats: () => ({ ...stats }),
    async close() {
      closed = true
      for (const slot of slots) if (!slot.running) slot.aborter.abort()
      while (slots.some(({ running }) => running))
        await new Promise<void>((resolve) => (onreleased = resolve))
      await Promise.allSettled(slots.map(({ ready }) => ready))
    },
  }
}
