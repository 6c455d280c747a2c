/**
 * One step at a time, in order of arrival. What waits at one layer and belongs together runs as one step, so that a layer's
 * weights are read once for all of it: frames of one volley, be they rows of several conversations or chunks of a prompt.
 * Where reading takes longer than computing, the first of a volley wait for its last, or for as many rows as it takes to
 * cover the reading, up to {@link maxRowsPerStep}.
 *
 * @module
 */
import type { Activation } from '../protocol.ts'

/** Rows of one step: enough to share a read from disk, few enough that others get their turn. */
const maxRowsPerStep = 512

/** What runs as one step. */
export type Step = {
  layer: number
  /** One for each session, its chunks joined; none when all that was left of the volley is that it ends here. */
  spans: readonly Activation[]
  /** More of the same volley follow. */
  more: boolean
}

export interface Turns {
  /** Resolves when the next may be given, which may be before this one has run: as long as few rows wait. */
  take(a: Activation): Promise<void>
}

/**
 * @param step must not throw
 * @param wantedRows of a volley that are worth waiting for, now
 */
export function createTurns(step: (step: Step) => Promise<void>, wantedRows: () => number): Turns {
  /** In order of arrival of their first frames. */
  let groups: Group[] = []
  const held: (() => void)[] = []
  let working = false

  async function work(): Promise<void> {
    working = true
    for (let group = next(); group; group = next()) {
      await step(stepOf(group))
      while (!isFull() && held.length > 0) held.shift()!()
    }
    working = false
  }

  const isFull = () => groups.reduce((sum, { rows }) => sum + rows, 0) >= maxRowsPerStep

  /** The first that is worth running; undefined when nothing waits, or only rows that others will join. */
  function next(): Group | undefined {
    const wanted = Math.min(wantedRows(), maxRowsPerStep)
    // Nobody waits for rows that cannot be given because too many are here already.
    const isReady = ({ more, isClosed, rows }: Group) => !more || isClosed || rows >= wanted
    const group = groups.find(isReady) ?? (isFull() ? groups[0] : undefined)
    groups = groups.filter((other) => other !== group)
    return group
  }

  return {
    take(a) {
      for (const group of groups) forgetStale(group, a)
      groups = groups.filter(({ frames, more }) => frames.length > 0 || !more)
      const open = groups.findLast(({ layer }) => layer === a.layer)
      if (open?.more && open.rows + a.rows <= maxRowsPerStep) add(open, a)
      else {
        if (open?.more) open.isClosed = true
        groups.push({ layer: a.layer, frames: [a], rows: a.rows, more: a.more === true, isClosed: false })
      }
      if (!working) void work()
      return isFull() ? new Promise((resolve) => held.push(resolve)) : Promise.resolve()
    },
  }
}

/** Frames of one volley at one layer. */
type Group = {
  layer: number
  frames: Activation[]
  rows: number
  more: boolean
  /** What follows does not fit the same step. */
  isClosed: boolean
}

function add(group: Group, a: Activation): void {
  group.frames.push(a)
  group.rows += a.rows
  group.more = a.more === true
}

/**
 * What a session began and begins anew before its end (a link broke in the middle of a prompt) is left out: its answer
 * would be taken for the new one's.
 */
function forgetStale(group: Group, a: Activation): void {
  if (group.layer !== a.layer || a.rows === 0) return
  const last = group.frames.findLast(({ session }) => session === a.session)
  if (!last || a.position === last.position + last.rows) return
  group.frames = group.frames.filter(({ session }) => session !== a.session)
  group.rows = group.frames.reduce((sum, { rows }) => sum + rows, 0)
}

function stepOf({ layer, frames, more }: Group): Step {
  const chunks = new Map<number, Activation[]>()
  for (const a of frames) {
    if (a.rows === 0) continue
    const before = chunks.get(a.session)
    if (before) before.push(a)
    else chunks.set(a.session, [a])
  }
  return { layer, spans: [...chunks.values()].map(joined), more }
}

/** Consecutive chunks of one session. */
function joined(chunks: readonly Activation[]): Activation {
  const [first] = chunks
  if (chunks.length === 1) return first!
  const rows = chunks.reduce((sum, chunk) => sum + chunk.rows, 0)
  const hidden = new Float32Array((first!.hidden.length / first!.rows) * rows)
  let at = 0
  for (const chunk of chunks) {
    hidden.set(chunk.hidden, at)
    at += chunk.hidden.length
  }
  return { ...first!, rows, hidden }
}
