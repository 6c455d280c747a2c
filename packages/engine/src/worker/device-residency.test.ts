import { describe, expect, it } from 'vitest'
import { givenBack, residencyOf, residentBytes, type Need } from './device-residency.ts'
import type { Unit } from './units.ts'

const shard = { file: 'layer', tensors: [], byteLength: 0 }
const unitOf = (unit: number): Unit => ({ unit, shard, offset: 0, byteLength: 10 + (unit % 3) })
const need: Need = {
  units: Array.from({ length: 9 }, (_, unit) => unitOf(unit)),
  embeddingBytes: 40,
  scratchBytes: 5,
  kvBytes: 15,
}
const all = residencyOf(need, 1000)

describe('a budget', () => {
  it('holds KV cache, scratch and units together', () => {
    for (let budget = 44; budget < 170; budget++)
      expect(residentBytes(need, residencyOf(need, budget))).toBeLessThanOrEqual(budget)
  })

  it('that is too small is refused with the bytes that it takes', () => {
    const large = { ...need, kvBytes: 15e6, scratchBytes: 2e6 }
    expect(() => residencyOf(large, 17e6)).toThrow(/at least 18 MB here, and this device offers 17 MB/)
  })
})

describe('giving back', () => {
  it('takes the embedding first, and units only when that is not enough', () => {
    expect(all.holdsEmbedding).toBe(true)
    expect(givenBack(need, all, 40)).toEqual({ ...all, holdsEmbedding: false })
    expect(givenBack(need, all, 41)!.streamed.length).toBeGreaterThan(0)
  })

  it('gives back what is asked, keeps what stays where it is, and says when there is no more', () => {
    let last = all
    for (let bytes = 1; bytes <= residentBytes(need, all); bytes++) {
      const less = givenBack(need, all, bytes)
      if (!less) {
        expect(last.pinned).toEqual([])
        return
      }
      expect(residentBytes(need, less)).toBeLessThanOrEqual(residentBytes(need, all) - bytes)
      expect([...less.pinned, ...less.streamed].toSorted((a, b) => a.unit - b.unit)).toEqual(need.units)
      for (const unit of less.streamed) expect(unit.byteLength).toBeLessThanOrEqual(less.slotBytes)
      last = less
    }
    expect.unreachable('scratch and KV cache cannot be given back')
  })
})
