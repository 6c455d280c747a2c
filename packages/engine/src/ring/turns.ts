/**
 * One step at a time, in order of arrival. Chunks of a prompt that pile up while a device is busy run as one, so that a
 * layer's weights are read once for all of them.
 *
 * @module
 */
import type { Activation } from '../protocol.ts'

/** Rows of one step: enough to share a read from disk, few enough that others get their turn. */
const maxRowsPerStep = 512
/** Waiting activations above which a giver is held back. */
const maxWaiting = 8

export interface Turns {
  /** Resolves when the next may be given, which may be before this one has run. */
  take(a: Activation): Promise<void>
}

/** @param step must not throw */
export function createTurns(step: (a: Activation) => Promise<void>): Turns {
  const waiting: Activation[] = []
  const held: (() => void)[] = []
  let working = false

  async function work(): Promise<void> {
    working = true
    for (let a = next(); a; a = next()) {
      await step(a)
      while (waiting.length < maxWaiting && held.length > 0) held.shift()!()
    }
    working = false
  }

  function next(): Activation | undefined {
    const first = waiting.shift()
    if (!first) return undefined
    const chunks = [first]
    let rows = first.rows
    while (waiting[0] && continues(waiting[0], chunks.at(-1)!) && rows + waiting[0].rows <= maxRowsPerStep) {
      rows += waiting[0].rows
      chunks.push(waiting.shift()!)
    }
    return chunks.length === 1 ? first : joined(chunks, rows)
  }

  return {
    take(a) {
      waiting.push(a)
      if (!working) void work()
      return waiting.length < maxWaiting ? Promise.resolve() : new Promise((resolve) => held.push(resolve))
    },
  }
}

/** Whether `a` is the next chunk of the same prompt, at the same layer. */
function continues(a: Activation, before: Activation): boolean {
  return (
    a.session === before.session &&
    a.plan === before.plan &&
    a.layer === before.layer &&
    a.position === before.position + before.rows
  )
}

function joined(chunks: readonly Activation[], rows: number): Activation {
  const [first] = chunks
  const hidden = new Float32Array((first!.hidden.length / first!.rows) * rows)
  let at = 0
  for (const chunk of chunks) {
    hidden.set(chunk.hidden, at)
    at += chunk.hidden.length
  }
  return { ...first!, rows, hidden }
}
