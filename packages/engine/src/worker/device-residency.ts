/**
 * A device's budget, divided: KV cache and scratch first, the rest for the units of its part. Pure.
 *
 * @module
 */
import {
  chooseResidency,
  isOneOf,
  largestBytes,
  leastResidentBytes,
  leastSlots,
  sumBytes,
  type Residency,
} from '@hearth/halda'
import { EngineError } from '../errors.ts'
import type { Unit } from './units.ts'

/** What a device has to fit into its budget. */
export type Need = {
  /** In running order. */
  units: readonly Unit[]
  /** Of the head's embedding; 0 elsewhere, and where the output is tied to it. */
  embeddingBytes: number
  /** Buffers of the forward pass, which are there in any case. */
  scratchBytes: number
  kvBytes: number
}

/** @throws EngineError 'out-of-memory', with numbers, when not even two units fit at once */
export function residencyOf(need: Need, budgetBytes: number): Residency<Unit> {
  const { units, embeddingBytes, scratchBytes, kvBytes } = need
  const otherBytes = scratchBytes + kvBytes
  const residency = chooseResidency(units, budgetBytes - otherBytes, embeddingBytes)
  if (residency) return residency
  const neededBytes = otherBytes + leastResidentBytes(units)
  throw new EngineError(
    'out-of-memory',
    `Its part of the model needs at least ${inMegabytes(neededBytes)} here, and this device offers ${inMegabytes(budgetBytes)}. Offer more memory in the settings, or let other devices join.`,
  )
}

/** All that is held at once. */
export function residentBytes(
  need: Need,
  { pinned, slots, slotBytes, holdsEmbedding }: Residency<Unit>,
): number {
  const { embeddingBytes, scratchBytes, kvBytes } = need
  const headBytes = holdsEmbedding ? embeddingBytes : 0
  return scratchBytes + kvBytes + headBytes + sumBytes(pinned) + slots * slotBytes
}

/**
 * The same with at least so many bytes given back: the embedding first, then as few pinned units as it takes, spread
 * evenly. Nothing has to be read for it.
 *
 * @returns null when not so much can be given back
 */
export function givenBack(need: Need, from: Residency<Unit>, bytes: number): Residency<Unit> | null {
  const mostBytes = residentBytes(need, from) - bytes
  const holdsEmbedding = need.embeddingBytes === 0
  for (let count = 0; count <= from.pinned.length; count++) {
    const kept = new Set(from.pinned.filter((_, i) => !isOneOf(count, from.pinned.length, i)))
    const streamed = need.units.filter((unit) => !kept.has(unit))
    const slots = streamed.length === 0 ? 0 : leastSlots
    const slotBytes = largestBytes(streamed)
    const less = { pinned: [...kept], streamed, slots, slotBytes, holdsEmbedding }
    if (residentBytes(need, less) <= mostBytes) return less
  }
  return null
}

const inMegabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`
