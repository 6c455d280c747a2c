/**
 * How long a hop to every other device takes, measured with probes over the ring's own channels, from worker to worker.
 *
 * Of a pair one end measures and tells the other. It does so in bursts, while neither of the two measures its kernels or
 * loads layers and no answer runs; of three bursts the lowest median stands, since whatever else a device does makes a
 * hop longer, and an answer does not wait for that. In rooms of more than eight devices each measures the seven that
 * follow it in the order of ids; for all others the median of what it knows is assumed (`defaultHopMs`).
 *
 * A ring that computes is slower than that: threads sleep, and frames wait until a page gets round to them. The head knows
 * how long tokens really were on their way; what a hop takes longer than its probes said, in the median, counts for every
 * pair of the room.
 *
 * @module
 */
import type { DeviceId, HopTimes, Plan } from '@hearth/halda'
import { median } from '../median.ts'
import type { RoomView } from '../protocol.ts'
import type { ProbedLink } from '../ring/probed-link.ts'
import { encodeProbe, type Dtype } from '../wire.ts'

/** Assumed while nothing was measured: home Wi-Fi (prima.cpp measured 3–7 ms). */
const assumedHopMs = 5
/** Before a model is chosen. */
const usualDim = 2048
const chunkRows = 32
/** The first ones find a channel, a thread and a processor that slept. */
const warmUpProbes = 4
const rowProbes = 15
/** Fewer: on slow Wi-Fi each is a tenth of a second's worth of everybody's air. */
const chunkProbes = 5
/** Between two probes, as in an answer a device rests while the others compute: threads that sleep wake up slowly. */
const restMs = 20
/** Not at the same moment everywhere. */
const burstsAfterMs = [0, 3000, 8000]
const burstSpreadMs = 2000
/** No frame for so long, and no answer runs. */
const quietMs = 400
const lookEveryMs = 100
/** A channel that answers none of these has nobody at its other end. */
const mostLateInARow = 2
const measuredPairs = 7
/** The fewest tokens whose median says how long a token is on its way. */
const wayTokens = 16
/** News reaches every page, which paints it, and the planner. With every 16 tokens it was a fifth of a page's work in an answer. */
const judgeEveryMs = 5000
/** More than a house's devices need to wake up is something else. */
const mostBusyMs = 10
/** Told anew when it changed by so much. */
const worthTellingMs = 0.2

export type HopTimesOptions = {
  me: DeviceId
  dtype: Dtype
  /** To the other end of a pair. */
  tell(peer: DeviceId, times: HopTimes): void
  /** To every other device, by the head: see {@link HopTimer.busyMs}. */
  tellBusy(peer: DeviceId, ms: number): void
  /** Whether this device measures its kernels. */
  isBusy(): boolean
  onchange(): void
}

type Pair = {
  link: ProbedLink
  times: HopTimes | null
  /** When bursts are due, as performance.now(). */
  dueAtMs: number[]
  /** Asked for anew, or of another width: the next burst replaces what is known of rows, and of chunks. */
  isRowStale: boolean
  isChunkStale: boolean
}

export interface HopTimer {
  add(peer: DeviceId, link: ProbedLink): void
  drop(peer: DeviceId): void
  /** Who is here, how far they are, and how wide the model is. */
  follow(room: RoomView): void
  /** What the other end of a pair measured. */
  receive(peer: DeviceId, times: HopTimes): void
  /** As the head: a token of this plan was so long on its way, all hops together. */
  noteWay(plan: Plan, ms: number): void
  /** What the head made of that. */
  receiveBusy(from: DeviceId, ms: number): void
  /** What a hop takes longer than its probes while a ring answers: 0 to 10 ms. */
  busyMs(): number
  /** All pairs of this device again. */
  measure(): void
  times(): Record<DeviceId, HopTimes>
  /** ms assumed for a device that is not in `times`: the median of those that are. */
  assumedMs(): number
}

export function createHopTimer({ me, dtype, tell, tellBusy, isBusy, onchange }: HopTimesOptions): HopTimer {
  const pairs = new Map<DeviceId, Pair>()
  let room: RoomView | null = null
  let dim = usualDim
  let running = false
  let probes = 0
  let busyMs = 0
  let onTheWay: { plan: Plan; ms: number[] } | null = null
  let judgedAtMs = -Infinity

  function schedule(pair: Pair): void {
    const now = performance.now()
    pair.dueAtMs = burstsAfterMs.map((afterMs) => now + afterMs + (afterMs && Math.random() * burstSpreadMs))
    void run()
  }

  /** One burst after another, as long as any is due. */
  async function run(): Promise<void> {
    if (running) return
    running = true
    for (;;) {
      const waiting = [...pairs].filter(([, { dueAtMs }]) => dueAtMs.length > 0)
      if (waiting.length === 0) break
      const now = performance.now()
      const due = waiting.find(([peer, { dueAtMs }]) => dueAtMs[0]! <= now && isQuiet() && isFree(peer))
      if (due) await measurePair(...due)
      else await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
    }
    running = false
  }

  const isQuiet = () => [...pairs.values()].every(({ link }) => performance.now() - link.usedAtMs > quietMs)

  /** Neither this device nor the other measures or loads, as the server last told. */
  const isFree = (peer: DeviceId) =>
    !isBusy() &&
    [me, peer].every((id) => {
      const view = room?.devices.find(({ device }) => device === id)
      return view?.presence === 'here' && view.profile !== null && view.status.phase !== 'loading'
    })

  async function measurePair(peer: DeviceId, pair: Pair): Promise<void> {
    const times = await burst(pair.link)
    // Disturbed: it is still due.
    if (times === 'disturbed' || pairs.get(peer) !== pair) return
    pair.dueAtMs.shift()
    if (times === null) return
    const known = pair.times
    const takesRow = pair.isRowStale || !known || times.rowMs < known.rowMs
    const takesChunk = pair.isChunkStale || !known || times.chunkMs < known.chunkMs
    if (!takesRow && !takesChunk) return
    const { rowMs, rowP90Ms } = takesRow ? times : known!
    const { chunkMs, chunkP90Ms } = takesChunk ? times : known!
    pair.times = { rowMs, rowP90Ms, chunkMs, chunkP90Ms, lateShare: times.lateShare }
    pair.isRowStale = pair.isChunkStale = false
    tell(peer, pair.times)
    onchange()
  }

  async function burst(link: ProbedLink): Promise<HopTimes | 'disturbed' | null> {
    let sent = 0
    let late = 0
    let lateInARow = 0
    /** One-way times of so many probes, in rising order; null when an answer begins or nobody echoes. */
    const oneWayMs = async (count: number, rows: number): Promise<number[] | null> => {
      const timesMs: number[] = []
      for (let i = 0; i < count; i++) {
        if (!isQuiet() || lateInARow > mostLateInARow) return null
        await new Promise((resolve) => setTimeout(resolve, restMs))
        const roundTripMs = await link.probe(encodeProbe(probes++ >>> 0, rows, dim, dtype))
        sent++
        lateInARow = roundTripMs === null ? lateInARow + 1 : 0
        if (roundTripMs === null) late++
        else timesMs.push(roundTripMs / 2)
      }
      return timesMs.toSorted((a, b) => a - b)
    }
    const warm = await oneWayMs(warmUpProbes, 1)
    const row = warm && (await oneWayMs(rowProbes, 1))
    const chunk = row && (await oneWayMs(chunkProbes, chunkRows))
    if (!row || !chunk) return isQuiet() ? null : 'disturbed'
    if (row.length === 0 || chunk.length === 0) return null
    return {
      rowMs: quantile(row, 0.5),
      rowP90Ms: quantile(row, 0.9),
      chunkMs: quantile(chunk, 0.5),
      chunkP90Ms: quantile(chunk, 0.9),
      lateShare: late / sent,
    }
  }

  /** Whether this end measures the pair. */
  function isMine(peer: DeviceId): boolean {
    const ids = [...new Set([me, ...(room?.devices.map(({ device }) => device) ?? [])])].toSorted()
    if (ids.length <= measuredPairs + 1) return me < peer
    const steps = (ids.indexOf(peer) - ids.indexOf(me) + ids.length) % ids.length
    return steps <= measuredPairs
  }

  /** The probes of all hops of a token; null while one of them is not known. */
  function probedMs(plan: Plan): { hops: number; ms: number } | null {
    const stations = [plan.head, ...plan.windows.map(({ device }) => device), plan.head]
    let [hops, ms] = [0, 0]
    for (const [i, to] of stations.entries()) {
      const from = stations[i - 1]
      if (from === undefined || from === to) continue
      const profile = room?.devices.find(({ device }) => device === from)?.profile
      const hopMs = profile?.hops?.[to]?.rowMs
      if (hopMs === undefined) return null
      hops++
      ms += hopMs
    }
    return hops === 0 ? null : { hops, ms }
  }

  return {
    noteWay(plan, ms) {
      if (onTheWay?.plan !== plan) onTheWay = { plan, ms: [] }
      onTheWay.ms.push(ms)
      const now = performance.now()
      if (onTheWay.ms.length < wayTokens || now - judgedAtMs < judgeEveryMs) return
      judgedAtMs = now
      const wayMs = median(onTheWay.ms.splice(0))
      const probed = probedMs(plan)
      if (probed === null) return
      const moreMs = Math.min(mostBusyMs, Math.max(0, (wayMs - probed.ms) / probed.hops))
      if (Math.abs(moreMs - busyMs) < worthTellingMs) return
      busyMs = Math.round(moreMs * 1000) / 1000
      for (const peer of pairs.keys()) tellBusy(peer, busyMs)
      onchange()
    },
    receiveBusy(from, ms) {
      if (from !== room?.numbered?.plan.head) return
      busyMs = Math.min(mostBusyMs, ms)
      onchange()
    },
    busyMs: () => busyMs,
    add(peer, link) {
      const pair: Pair = { link, times: null, dueAtMs: [], isRowStale: false, isChunkStale: false }
      pairs.set(peer, pair)
      if (isMine(peer)) schedule(pair)
      if (onTheWay !== null && busyMs > 0) tellBusy(peer, busyMs)
    },
    drop: (peer) => void pairs.delete(peer),
    follow(next) {
      room = next
      const width = next.choice?.profile.dim ?? usualDim
      if (width === dim) return
      dim = width
      for (const [peer, pair] of pairs) {
        pair.isChunkStale = true
        if (isMine(peer)) schedule(pair)
      }
    },
    receive(peer, times) {
      const pair = pairs.get(peer)
      if (!pair) return
      pair.times = times
      onchange()
    },
    measure() {
      for (const pair of pairs.values()) {
        pair.isRowStale = pair.isChunkStale = true
        schedule(pair)
      }
    },
    times: () =>
      Object.fromEntries([...pairs].flatMap(([peer, { times }]) => (times ? [[peer, times]] : []))),
    assumedMs() {
      const known = [...pairs.values()].flatMap(({ times }) => times?.rowMs ?? [])
      return known.length === 0
        ? assumedHopMs
        : quantile(
            known.toSorted((a, b) => a - b),
            0.5,
          )
    },
  }
}

/** @param sorted in rising order, not empty; rounded to what a clock of 5 µs (Chromium, isolated) can say */
const quantile = (sorted: readonly number[], share: number): number =>
  Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]! * 1000) / 1000
