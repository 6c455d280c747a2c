/**
 * One step at a time, in order of arrival. Chunks of a prompt that pile up while a device is busy run as one, so that a
 * layer's weights are read once for all of them; and where reading takes longer than computing, a prompt's first rows wait
 * for as many as it takes to cover the reading, up to {@link maxRowsPerStep}.
 *
 * @module
 */
import type { Activation } from '../protocol.ts'

/** Rows of one step: enough to share a read from disk, few enough that others get their turn. */
const maxRowsPerStep = 512

export interface Turns {
  /** Resolves when the next may be given, which may be before this one has run: as long as few rows wait. */
  take(a: Activation): Promise<void>
}

/**
 * @param step must not throw
 * @param wantedRows of a prompt that are worth waiting for, now
 */
export function createTurns(step: (a: Activation) => Promise<void>, wantedRows: () => number): Turns {
  let waiting: Activation[] = []
  const held: (() => void)[] = []
  let working = false

  async function work(): Promise<void> {
    working = true
    for (let a = next(); a; a = next()) {
      await step(a)
      while (!isFull() && held.length > 0) held.shift()!()
    }
    working = false
  }

  const isFull = () => waiting.reduce((rows, a) => rows + a.rows, 0) >= maxRowsPerStep

  /** The first that is worth running; undefined when nothing waits, or only rows that others will join. */
  function next(): Activation | undefined {
    const groups = groupsOf(waiting)
    waiting = groups.flatMap(({ chunks }) => chunks)
    const wanted = Math.min(wantedRows(), maxRowsPerStep)
    const isReady = ({ chunks, rows, isFull }: Group) => isFull || !chunks.at(-1)!.more || rows >= wanted
    // Nobody waits for rows that cannot be given because too many are here already.
    const group = groups.find(isReady) ?? (isFull() ? groups[0] : undefined)
    if (!group) return undefined
    waiting = waiting.filter((chunk) => !group.chunks.includes(chunk))
    return joined(group)
  }

  return {
    take(a) {
      waiting.push(a)
      if (!working) void work()
      return isFull() ? new Promise((resolve) => held.push(resolve)) : Promise.resolve()
    },
  }
}

/** Consecutive chunks of one prompt at one layer. */
type Group = {
  chunks: Activation[]
  rows: number
  /** More follow, and do not fit the same step. */
  isFull: boolean
}

/**
 * In order of arrival of their first chunks. What was begun and is begun anew before its end (a link broke in the middle
 * of a prompt) is left out: its answer would be taken for the new one's.
 */
function groupsOf(waiting: readonly Activation[]): Group[] {
  let groups: Group[] = []
  for (const a of waiting) {
    const before = groups.findLast(
      ({ chunks: [first] }) => first!.session === a.session && first!.layer === a.layer,
    )
    const joins = before !== undefined && continues(a, before.chunks.at(-1)!)
    if (joins && before.rows + a.rows <= maxRowsPerStep) {
      before.chunks.push(a)
      before.rows += a.rows
      continue
    }
    if (joins) before.isFull = true
    else if (before?.chunks.at(-1)!.more) groups = groups.filter((group) => group !== before)
    groups.push({ chunks: [a], rows: a.rows, isFull: false })
  }
  return groups
}

/** Whether `a` is the next chunk of the same prompt, of a session at a layer. */
const continues = (a: Activation, before: Activation): boolean =>
  a.plan === before.plan && a.position === before.position + before.rows

function joined({ chunks, rows }: Group): Activation {
  const [first] = chunks
  if (chunks.length === 1) return first!
  const hidden = new Float32Array((first!.hidden.length / first!.rows) * rows)
  let at = 0
  for (const chunk of chunks) {
    hidden.set(chunk.hidden, at)
    at += chunk.hidden.length
  }
  const { more: _, ...rest } = first!
  return { ...rest, ...(chunks.at(-1)!.more ? { more: true } : {}), rows, hidden }
}
