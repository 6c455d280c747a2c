/**
 * The piped ring: what every device does, the head included. Run my window, hand the rest on; the head starts a pass
 * and gets it back after the last layer. Knows nothing of what a layer is.
 *
 * Source: prima.cpp's ring (arXiv 2504.08791 §3.1); order of one step: receive, compute, send. Reading ahead
 * begins sooner, as each layer is done (worker/read-ahead.ts).
 *
 * @module
 */
import type { DeviceId, LayerWindow, Plan } from '@hearth/halda'
import { breathe } from '../breathe.ts'
import { EngineError, toEngineError } from '../errors.ts'
import type { Layers } from '../model/layers.ts'
import type { Activation, NumberedPlan } from '../protocol.ts'
import { decodeActivation, encodeActivation, maxRowsPerFrame, type Dtype } from '../wire.ts'
import type { Link } from './link.ts'
import { createTurns, type Step } from './turns.ts'

/** Rows of one prefill chunk, where frames allow: few enough to pipeline; alone, enough to share what unpacking costs. */
const prefillRows = 64
const prefillRowsAlone = 128

export type RingOptions = {
  me: DeviceId
  numbered: NumberedPlan
  /** Width of the hidden state. */
  dim: number
  dtype: Dtype
  layers: Layers
  /** The link to another device of the ring; undefined while there is none. */
  linkTo(device: DeviceId): Link | undefined
  /** What went wrong on this device while it served a session; told to the head. */
  onfailed(session: number, error: EngineError): void
}

export interface Ring {
  readonly plan: Plan
  readonly chunkRows: number
  /**
   * How many guesses may go behind a token, in one frame of anybody's. None where a device computes on its GPU: several rows
   * take other kernels there than one, which round otherwise.
   */
  readonly mostGuesses: number
  /**
   * Head only: sends rows through all layers.
   *
   * @returns `sent` once the next rows may follow; `passed` with the last row after the last layer, or every row that was asked for
   * @throws EngineError 'link-lost' when the ring breaks, 'aborted' when it is closed, or what {@link Ring.fail} was told
   */
  pass(a: Omit<Activation, 'plan' | 'layer'>): { sent: Promise<void>; passed: Promise<Activation> }
  /** A frame from `from`; what does not belong here is dropped and counted. */
  receive(from: DeviceId, frame: Uint8Array): void
  /** Head only: ends the passes of a session, or of all. */
  fail(error: EngineError, session?: number): void
  /**
   * Head only: whether a device read weights to run the rows that came back last, so that rows of several conversations
   * should go round together.
   */
  reads(): boolean
  readonly droppedFrames: number
  close(): void
}

/** The window that begins at `layer`; undefined inside a window and after the last. */
export function windowAt(plan: Plan, layer: number): LayerWindow | undefined {
  return plan.windows.find((window) => window.firstLayer === layer)
}

/** Who runs next, from `layer` on: a window's device, or the head after the last layer. */
function deviceAt(plan: Plan, layer: number): DeviceId {
  return windowAt(plan, layer)?.device ?? plan.head
}

/** Whose frame brings `layer`: the device of the window before, or the head for layer 0. */
function deviceBefore(plan: Plan, layer: number): DeviceId {
  return plan.windows.find((window) => window.firstLayer + window.layers === layer)?.device ?? plan.head
}

/** Rows under way, known by where they end, since of most only the last one comes back. */
type Pass = {
  session: number
  /** Position after the last row. */
  end: number
  resolve(a: Activation): void
  reject(error: EngineError): void
}

export function joinRing({ me, numbered, dim, dtype, layers, linkTo, onfailed }: RingOptions): Ring {
  const { plan } = numbered
  const last = plan.windows.at(-1)!
  const nLayers = last.firstLayer + last.layers
  const waiting = new Set<Pass>()
  // What goes nowhere need not fit a frame.
  const isAlone = plan.windows.every(({ device }) => device === plan.head)
  const chunkRows = isAlone ? prefillRowsAlone : Math.min(prefillRows, maxRowsPerFrame(dim, dtype))
  const usesGpu = plan.windows.some(({ gpuLayers }) => gpuLayers > 0)
  const mostGuesses = usesGpu ? 0 : maxRowsPerFrame(dim, 'f32') - 1
  let reads = false
  let closed = false
  let droppedFrames = 0

  const { take } = createTurns(step, () => layers.gatherRows())

  async function step({ layer, spans, more }: Step): Promise<void> {
    if (closed) return
    if (layer === nLayers) return spans.forEach(finish)
    const { layers: count } = windowAt(plan, layer)!
    const next: Step = { layer: layer + count, spans: await run(spans, count), more }
    if (deviceAt(plan, next.layer) === me) await step(next)
    else await give(next).catch((thrown) => failAll(next.spans, thrown))
  }

  /** Sessions that cannot go on drop out and are told; the others do not notice. */
  async function run(spans: readonly Activation[], count: number): Promise<Activation[]> {
    if (spans.length === 0) return []
    try {
      // Asked before, as what runs is known better afterwards.
      const read = layers.gatherRows() > 1 ? { read: true as const } : {}
      const startMs = performance.now()
      const outcomes = await layers.run(spans, count)
      const ms = performance.now() - startMs
      return outcomes.flatMap((out, i) => {
        if (!(out instanceof EngineError)) {
          return { ...out, ...read, computeMs: (spans[i]!.computeMs ?? 0) + ms }
        }
        onfailed(spans[i]!.session, out)
        return []
      })
    } catch (thrown) {
      failAll(spans, thrown)
      return []
    }
  }

  function failAll(spans: readonly Activation[], thrown: unknown): void {
    for (const { session } of spans) onfailed(session, toEngineError(thrown))
  }

  /** The last frame says whether more of the volley follow. Where all that could say so dropped out, one without rows does. */
  async function give({ layer, spans, more }: Step): Promise<void> {
    const link = linkTo(deviceAt(plan, layer))
    if (!link) throw new EngineError('link-lost', 'There is no connection to the next device of the ring.')
    let rest = spans.flatMap((a) => [...framesOf(a)])
    if (rest.length === 0 && !more) rest = [endAt(layer)]
    for (const [i, { more: _, ...frame }] of rest.entries()) {
      const isFollowed = more || i < rest.length - 1
      await link.send(encodeActivation({ ...frame, ...(isFollowed ? { more: true } : {}) }, dtype))
    }
  }

  const endAt = (layer: number): Activation => {
    return { plan: numbered.number, session: 0, position: 0, layer, rows: 0, hidden: new Float32Array(0) }
  }

  /** As many rows to a frame as fit. */
  function* framesOf(a: Activation): Generator<Activation> {
    for (let row = 0; row < a.rows; row += chunkRows) {
      const rows = Math.min(chunkRows, a.rows - row)
      const hidden = a.hidden.subarray(row * dim, (row + rows) * dim)
      yield { ...a, position: a.position + row, rows, hidden }
    }
  }

  /** Chunks come back in order, and those that ran as one come back as one. What nobody waits for is left from before. */
  function finish(a: Activation): void {
    const end = a.position + a.rows
    if (![...waiting].some((pass) => pass.session === a.session && pass.end === end)) return
    reads = a.read === true
    // It is used when the layers may be running again.
    const back = { ...a, hidden: a.hidden.slice() }
    for (const pass of waiting) {
      if (pass.session !== a.session || pass.end > end) continue
      waiting.delete(pass)
      pass.resolve(back)
    }
  }

  function fail(error: EngineError, session?: number): void {
    for (const pass of waiting) {
      if (session !== undefined && pass.session !== session) continue
      waiting.delete(pass)
      pass.reject(error)
    }
  }

  return {
    plan,
    chunkRows,
    mostGuesses,
    pass(rows) {
      const a: Activation = { ...rows, plan: numbered.number, layer: 0 }
      const passed = new Promise<Activation>((resolve, reject) => {
        if (closed) throw new EngineError('aborted', 'The ring was closed.')
        waiting.add({ session: a.session, end: a.position + a.rows, resolve, reject })
      })
      // The caller may await `sent` first; a rejection meanwhile is still theirs to see.
      passed.catch(() => {})
      const entered =
        deviceAt(plan, 0) === me
          ? breathe().then(() => take(a))
          : give({ layer: 0, spans: [a], more: a.more === true })
      const sent = entered.catch((thrown) => fail(toEngineError(thrown), a.session))
      return { sent, passed }
    },
    receive(from, frame) {
      const a = decodeActivation(frame, dim)
      const mine = a !== null && a.layer <= nLayers && deviceAt(plan, a.layer) === me
      const entry = a !== null && (a.layer === nLayers || windowAt(plan, a.layer) !== undefined)
      if (!mine || !entry || a.plan !== numbered.number || deviceBefore(plan, a.layer) !== from) {
        droppedFrames++
        return
      }
      if (a.layer === nLayers) finish(a)
      else void take(a)
    },
    fail,
    reads: () => reads,
    get droppedFrames() {
      return droppedFrames
    },
    close() {
      closed = true
      fail(new EngineError('aborted', 'The ring was closed.'))
    },
  }
}
