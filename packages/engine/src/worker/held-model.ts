/**
 * The model of a device, and its part of it: opened, brought and let go of one after the other, whatever plans come in
 * between.
 *
 * @module
 */
import type { DeviceId, Plan } from '@hearth/halda'
import type { Backend } from '../backend/backend.ts'
import { EngineError } from '../errors.ts'
import type { ModelChoice } from '../protocol.ts'
import type { ShardReader } from '../store/shard-reader.ts'
import type { GpuSource, OnProgress } from './loaded-part.ts'
import { checkProfile, openModel, type ModelPlace } from './open-model.ts'
import { holdingOf } from './plan-part.ts'
import { createWeightsHolder, type WeightsHolder } from './weights-holder.ts'

export type HeldModelOptions = {
  me: DeviceId
  backend: Backend
  place: ModelPlace
  /** For layers that stream. */
  reader: ShardReader
  /** False reads a streamed layer when it runs and no sooner. */
  readsAhead?: boolean
  /** For layers that a plan puts on the GPU. */
  gpu?: GpuSource
  memoryBudgetBytes: number
}

export interface HeldModel {
  /** Of the model in use; null without one. */
  holder(): WeightsHolder | null
  /**
   * Opens the model, if it is another one, and brings what the plan gives to this device; sessions are forgotten.
   *
   * @throws EngineError 'aborted'; those of the source, the store and the weights. What was loaded stays
   */
  bring(choice: ModelChoice, plan: Plan, onprogress: OnProgress, signal: AbortSignal): Promise<WeightsHolder>
  /** From now on; what it holds of a plan fits it when this resolves, or a newer budget or plan came. */
  setBudget(bytes: number, held: { plan: Plan; signal: AbortSignal } | null): Promise<void>
  /** Frees all of it, unless `isWanted` says otherwise when its turn comes. What is stored stays. */
  letGo(isWanted: () => boolean): Promise<void>
  /** At once. */
  free(): Promise<void>
}

export function createHeldModel({ me, memoryBudgetBytes, ...options }: HeldModelOptions): HeldModel {
  const { backend, place, reader, readsAhead = true, gpu } = options
  let holder: WeightsHolder | null = null
  let budgetBytes = memoryBudgetBytes
  let turn: Promise<unknown> = Promise.resolve()

  function inTurn<T>(act: () => Promise<T>): Promise<T> {
    const result = turn.then(act)
    turn = result.catch(() => {})
    return result
  }

  async function holderOf(choice: ModelChoice): Promise<WeightsHolder> {
    const model = await openModel(choice.model, place)
    checkProfile(choice, model)
    if (holder?.model.key === model.key) return holder
    await holder?.free()
    const { contextLength } = choice.profile
    const { shelf } = place
    holder = createWeightsHolder({
      model,
      backend,
      shelf,
      reader,
      readsAhead,
      contextLength,
      ...(gpu && { gpu }),
    })
    return holder
  }

  return {
    holder: () => holder,
    bring: (choice, plan, onprogress, signal) =>
      inTurn(async () => {
        if (signal.aborted) throw new EngineError('aborted', 'Another plan came before this one was begun.')
        onprogress(0, 0)
        const mine = await holderOf(choice)
        // Sessions belong to a ring; the next one starts with none, and their memory is free for its layers.
        await mine.forgetSessions()
        await mine.hold(holdingOf(plan, me), budgetBytes, onprogress, signal)
        return mine
      }),
    async setBudget(bytes, held) {
      budgetBytes = bytes
      if (!held) return
      const { plan, signal } = held
      await inTurn(async () => {
        // While a person moves the slider, only where it is now counts.
        if (bytes !== budgetBytes || signal.aborted) return
        await holder?.hold(holdingOf(plan, me), bytes, () => {}, signal)
      })
    },
    letGo: (isWanted) =>
      inTurn(async () => {
        if (isWanted()) return
        const held = holder
        holder = null
        await held?.free()
      }),
    free: async () => holder?.free(),
  }
}
