import { describe, expect, it } from 'vitest'
import { chooseResidency, leastResidentBytes, outputPieceCount } from './residency.ts'

type Unit = { unit: number; byteLength: number }
const units = (n: number, byteLength = (_unit: number) => 10): Unit[] =>
  Array.from({ length: n }, (_, unit) => ({ unit, byteLength: byteLength(unit) }))
const names = (list: readonly Unit[]) => list.map(({ unit }) => unit)
const bytes = (list: readonly Unit[]) => list.reduce((sum, { byteLength }) => sum + byteLength, 0)

describe('residency', () => {
  it('pins everything that fits', () => {
    const residency = chooseResidency(units(4), 40)!
    expect(names(residency.pinned)).toEqual([0, 1, 2, 3])
    expect(residency).toMatchObject({ streamed: [], slots: 0, slotBytes: 0 })
  })

  it('spreads streamed units among pinned ones, within the budget', () => {
    const { pinned, streamed, slots } = chooseResidency(units(8), 65)!
    expect(names(pinned)).toEqual([0, 2, 4, 6])
    expect(names(streamed)).toEqual([1, 3, 5, 7])
    expect(slots).toBe(2)
  })

  it('counts every unit with its own bytes, so that small ones leave room for more', () => {
    const mixed = units(8, (unit) => (unit % 2 === 0 ? 10 : 14))
    // Units 2, 5 and 7 (10, 14 and 14) stream through two slots of 14: 96 − 38 + 28 = 86.
    expect(names(chooseResidency(mixed, 86)!.pinned)).toHaveLength(5)
  })

  it('never exceeds the budget, holds every unit once, and has an answer from the least budget on', () => {
    for (const byteLength of [() => 10, (unit: number) => 10 + (unit % 3)]) {
      for (let n = 1; n < 20; n++) {
        const all = units(n, byteLength)
        for (let budget = 0; budget <= bytes(all) + 20; budget += 5) {
          const residency = chooseResidency(all, budget)
          if (residency === null) {
            expect(budget).toBeLessThan(leastResidentBytes(all))
            continue
          }
          const { pinned, streamed, slots, slotBytes } = residency
          expect(bytes(pinned) + slots * slotBytes).toBeLessThanOrEqual(budget)
          for (const unit of streamed) expect(unit.byteLength).toBeLessThanOrEqual(slotBytes)
          expect(names([...pinned, ...streamed]).toSorted((a, b) => a - b)).toEqual(names(all))
        }
      }
    }
  })

  it('holds the embedding only when everything fits', () => {
    expect(chooseResidency(units(4), 60, 20)!.holdsEmbedding).toBe(true)
    const tight = chooseResidency(units(4), 59, 20)!
    expect(tight.holdsEmbedding).toBe(false)
    expect(tight.pinned).toHaveLength(4)
    expect(chooseResidency(units(4), 39, 20)!.holdsEmbedding).toBe(false)
  })

  it('cuts an output matrix into pieces no larger than a layer', () => {
    expect(outputPieceCount(862, 550)).toBe(2)
    expect(outputPieceCount(550, 550)).toBe(1)
    expect(outputPieceCount(10, 550)).toBe(1)
  })
})
