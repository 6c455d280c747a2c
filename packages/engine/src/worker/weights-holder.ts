/**
 * The part of a model that this device holds, within its budget: fetched, checked, loaded as far as its memory allows; the
 * rest streams from the store. What the next plan shares with this one stays.
 *
 * A conversation at full length must fit beside what cannot be given back, and yet most are short. So units are pinned in
 * the room that its KV cache will need, and given back as conversations grow. They are given back too when the machine
 * refuses an allocation; the step that failed runs again. What was given back is pinned again when a plan or a budget
 * comes, and no sooner.
 *
 * @module
 */
import { kvSteps, sumBytes, type Residency } from '@hearth/halda'
import { EngineError } from '../errors.ts'
import type { Head, Layers } from '../model/layers.ts'
import type { Activation } from '../protocol.ts'
import { givenBack, residencyOf, residentBytes, type Need } from './device-residency.ts'
import { createLoadedPart, notHead, type OnProgress, type PartOptions } from './loaded-part.ts'
import type { OpenModel } from './open-model.ts'
import { createPromptChunk } from './prompt-chunk.ts'
import type { UnitStream } from './unit-stream.ts'
import type { Holding, Unit } from './units.ts'

export type HolderOptions = PartOptions & {
  /** Positions of one conversation that are planned for. */
  contextLength: number
}

export interface WeightsHolder {
  readonly model: OpenModel
  readonly layers: Layers
  /** Null where this device is not the head. */
  readonly head: Head | null
  /**
   * Holds exactly this from now on, within a budget; with less pinned where the machine gives less than that.
   *
   * @throws EngineError of the store and the source; 'out-of-memory' when not even two units fit at once beside a
   *   conversation at full length; 'aborted'. What was loaded stays.
   */
  hold(holding: Holding, budgetBytes: number, onprogress: OnProgress, signal: AbortSignal): Promise<void>
  /** Drops every KV cache, once nothing runs. */
  forgetSessions(): Promise<void>
  /** What streams, and how well. */
  streaming: UnitStream['stats']
  /** Held outside the backend: hidden states. */
  bufferBytes(): number
  /** Held on the GPU: weights, KV caches and hidden states. */
  gpuBytes(): number
  free(): Promise<void>
}

/** What is held, and why. */
type Held = { holding: Holding; budgetBytes: number; need: Need; residency: Residency<Unit> }

export function createWeightsHolder({ contextLength, ...options }: HolderOptions): WeightsHolder {
  const { model, backend } = options
  const part = createLoadedPart(options)
  const { onProcessor, stream } = part
  const promptChunk = createPromptChunk()
  let held: Held | null = null
  /** Running and changing what is held take turns, so that a unit that runs is not taken away. */
  let turn: Promise<unknown> = Promise.resolve()

  /** Of one conversation at full length, and of a step on its way there. */
  const plannedKvBytes = (holding: Holding) => holding.layers.length * onProcessor.kvBytesFor(contextLength)
  const stepKvBytes = (holding: Holding) =>
    holding.layers.length * onProcessor.kvBytesFor(Math.ceil(contextLength / kvSteps))

  // ── changing what is held ───────────────────────────────────────────────────────────────────────────────────────

  /** With less pinned where the machine gives less memory than the budget allows. */
  async function settle(next: Held, onprogress: OnProgress, signal: AbortSignal): Promise<void> {
    held = null
    for (let attempt = next; ;) {
      try {
        await part.settle(attempt.holding, attempt.residency, onprogress, signal)
        held = attempt
        return
      } catch (thrown) {
        const less = isOutOfMemory(thrown) ? withHalfPinned(attempt, backend.memoryBytes()) : null
        if (!less) throw thrown
        attempt = less
      }
    }
  }

  const resettle = (next: Held) => settle(next, () => {}, new AbortController().signal)

  const hold: WeightsHolder['hold'] = (holding, budgetBytes, onprogress, signal) => {
    const kvBytes = onProcessor.kvBytes()
    const longest = part.needOf(holding, Math.max(plannedKvBytes(holding), kvBytes))
    // Whether it fits is said now, and not in the middle of a conversation.
    residencyOf(longest, budgetBytes)
    const need = { ...longest, kvBytes: Math.min(longest.kvBytes, kvBytes + stepKvBytes(holding)) }
    return settle(
      { holding, budgetBytes, need, residency: residencyOf(need, budgetBytes) },
      onprogress,
      signal,
    )
  }

  // ── running ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Conversations that grow, and buffers for more rows than there ever were, take the place of pinned units. */
  async function makeRoomFor(kvBytes: number, moreBufferBytes: number): Promise<void> {
    if (!held) return
    const { holding, budgetBytes, need, residency } = held
    if (kvBytes <= need.kvBytes && moreBufferBytes === 0) return
    const wishes = [
      { kvBytes: kvBytes + stepKvBytes(holding), moreBufferBytes },
      { kvBytes, moreBufferBytes },
      // A few megabytes, at the very end of what a device offers, are no reason to leave a question unanswered.
      { kvBytes, moreBufferBytes: 0 },
    ]
    for (const wish of wishes) {
      const more = {
        ...need,
        scratchBytes: need.scratchBytes + wish.moreBufferBytes,
        kvBytes: kvBytes <= need.kvBytes ? need.kvBytes : wish.kvBytes,
      }
      const missingBytes = residentBytes(more, residency) - budgetBytes
      const next = { ...held, need: more }
      if (missingBytes <= 0) return void (held = next)
      const less = givenBack(more, residency, missingBytes)
      if (less) return resettle({ ...next, residency: less })
    }
    throw noRoom()
  }

  /** Where there is no room for all, the last of those whose caches must grow gives way to the others. */
  async function runWithRoom(...[group, count]: Parameters<Layers['run']>): ReturnType<Layers['run']> {
    try {
      return await runTogether(group, count)
    } catch (found) {
      // Nothing of the processor's makes room there; to the head it is memory all the same.
      const ofGpu = isGpuFull(found) ? new EngineError('out-of-memory', found.message) : null
      const thrown = ofGpu ?? found
      const lastGrowing = group.findLastIndex((a) => grows(a, count))
      if (group.length === 1 || lastGrowing < 0 || !isOutOfMemory(thrown)) throw thrown
      const out = await runWithRoom(group.toSpliced(lastGrowing, 1), count)
      return out.toSpliced(lastGrowing, 0, ofGpu ?? noRoom())
    }
  }

  /** The layers of a span that the GPU holds are none of the processor's. */
  function growthOf(a: Activation, count: number): { processor: number; gpu: number } {
    const onGpu = part.onGpu()
    const held = onGpu?.loaded().filter((layer) => layer >= a.layer && layer < a.layer + count) ?? []
    const processor = onProcessor.kvGrowth(a, count - held.length)
    if (!onGpu || held.length === 0) return { processor, gpu: 0 }
    return { processor, gpu: onGpu.kvGrowth({ ...a, layer: held[0]! }, held.length) }
  }

  const grows = (a: Activation, count: number): boolean => {
    const { processor, gpu } = growthOf(a, count)
    return processor + gpu > 0
  }

  async function runTogether(...[group, count]: Parameters<Layers['run']>): ReturnType<Layers['run']> {
    const sum = (of: (a: Activation) => number) => group.reduce((total, a) => total + of(a), 0)
    const moreBufferBytes = Math.max(0, sum(({ hidden }) => hidden.byteLength) - onProcessor.bufferBytes())
    const kvBytes = onProcessor.kvBytes() + sum((a) => growthOf(a, count).processor)
    await makeRoomFor(kvBytes, moreBufferBytes)
    return onLess(async () => {
      const startMs = performance.now()
      const waitedMs = () => stream.stats()?.waitedMs ?? 0
      const waitedBeforeMs = waitedMs()
      const out = await part.layers.run(group, count)
      const computeMs = performance.now() - startMs - (waitedMs() - waitedBeforeMs)
      // Rows of several conversations are computed one by one.
      if (group.length === 1) promptChunk.noteRun(group[0]!.rows, count, computeMs)
      return out
    })
  }

  /** Again with less pinned, while the machine refuses memory and there is something to give back. */
  async function onLess<T>(step: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await step()
      } catch (thrown) {
        const less = isOutOfMemory(thrown) && held ? withHalfPinned(held, backend.memoryBytes()) : null
        if (!less) throw thrown
        await resettle(less)
      }
    }
  }

  function inTurn<T>(act: () => Promise<T>): Promise<T> {
    const result = turn.then(act)
    turn = result.catch(() => {})
    return result
  }

  const head: Head = {
    embed: (tokens) => inTurn(() => onLess(async () => (part.head() ?? notHead()).embed(tokens))),
    logits: (rows, use) => inTurn(() => onLess(async () => (part.head() ?? notHead()).logits(rows, use))),
  }

  return {
    model,
    layers: {
      ...part.layers,
      run: (group, count) => inTurn(() => runWithRoom(group, count)),
      gatherRows() {
        const mine = held?.holding.layers ?? []
        return promptChunk.rowsToCover(stream.readMs(mine), mine.length)
      },
    },
    get head() {
      return part.head() && head
    },
    hold: (...what) => inTurn(() => hold(...what)),
    forgetSessions: () => inTurn(async () => part.layers.release()),
    streaming: stream.stats,
    bufferBytes: part.bufferBytes,
    gpuBytes: () => part.onGpu()?.memoryBytes() ?? 0,
    free: () => inTurn(part.free),
  }
}

/**
 * For a machine that gave no more than `usedBytes`, whatever the budget allows: that is the budget from now on.
 *
 * @returns null when nothing can be given back
 */
function withHalfPinned({ need, residency, ...rest }: Held, usedBytes: number): Held | null {
  const half =
    givenBack(need, residency, Math.max(1, sumBytes(residency.pinned) / 2)) ?? givenBack(need, residency, 1)
  if (!half) return null
  const budgetBytes = Math.min(rest.budgetBytes, Math.max(usedBytes, residentBytes(need, half)))
  return { ...rest, need, residency: half, budgetBytes }
}

/** Of the backend, or of an array outside of it. */
const isOutOfMemory = (thrown: unknown): boolean =>
  thrown instanceof RangeError || (thrown instanceof EngineError && thrown.code === 'out-of-memory')

const isGpuFull = (thrown: unknown): thrown is EngineError =>
  thrown instanceof EngineError && thrown.code === 'gpu-full'

const noRoom = () =>
  new EngineError(
    'out-of-memory',
    'The conversations of the room have no room left in the memory that this device offers. Offer more memory in the settings, or start a new chat.',
  )
