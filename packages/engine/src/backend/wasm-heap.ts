/**
 * Hands out the memory of an arena: first fit, 64-byte aligned, freed neighbours joined.
 *
 * @module
 */

const alignment = 64

export type Heap = {
  /** Bytes handed out now. */
  used(): number
  /** The highest end of anything that was ever handed out: memory beyond was never touched. */
  reached(): number
  /** @returns an address, or null when no gap is wide enough and the end cannot move far enough */
  allocate(byteLength: number): number | null
  free(address: number): void
}

/**
 * @param start first address to hand out
 * @param extend makes memory reach to at least `end`; false, and nothing changed, when it cannot
 */
export function createHeap(start: number, extend: (end: number) => boolean): Heap {
  const base = roundUp(start)
  /** Free ranges below `top`, by address, never adjacent. */
  const gaps: { address: number; byteLength: number }[] = []
  const sizes = new Map<number, number>()
  let top = base
  let used = 0

  function hand(address: number, byteLength: number): number {
    sizes.set(address, byteLength)
    used += byteLength
    return address
  }

  return {
    used: () => used,
    reached: () => top,

    allocate(wanted) {
      const byteLength = Math.max(alignment, roundUp(wanted))
      const fit = gaps.findIndex((gap) => gap.byteLength >= byteLength)
      const gap = gaps[fit]
      if (gap) {
        const { address } = gap
        gap.address += byteLength
        gap.byteLength -= byteLength
        if (gap.byteLength === 0) gaps.splice(fit, 1)
        return hand(address, byteLength)
      }
      const last = gaps.at(-1)
      const address = last && last.address + last.byteLength === top ? last.address : top
      if (!extend(address + byteLength)) return null
      if (address < top) gaps.pop()
      top = address + byteLength
      return hand(address, byteLength)
    },

    free(address) {
      const byteLength = sizes.get(address)
      if (byteLength === undefined) return
      sizes.delete(address)
      used -= byteLength
      const after = gaps.findIndex((gap) => gap.address > address)
      const at = after === -1 ? gaps.length : after
      gaps.splice(at, 0, { address, byteLength })
      join(gaps, at)
      join(gaps, at - 1)
    },
  }
}

/** Joins gap `i` with the next one if they touch. */
function join(gaps: { address: number; byteLength: number }[], i: number): void {
  const [gap, next] = [gaps[i], gaps[i + 1]]
  if (!gap || !next || gap.address + gap.byteLength !== next.address) return
  gap.byteLength += next.byteLength
  gaps.splice(i + 1, 1)
}

function roundUp(byteLength: number): number {
  return Math.ceil(byteLength / alignment) * alignment
}
