/**
 * Random numbers that a seed decides: the same on every device and in every version.
 *
 * The generator is xoshiro128** 1.1 (Blackman and Vigna, public domain), its state filled by splitmix32 so that near
 * seeds give unrelated sequences.
 *
 * @module
 */

/** @returns a function whose calls give numbers evenly spread over [0, 1), in steps of 2^-32 */
export function createPrng(seed: number): () => number {
  const next = xoshiro128(splitmix32(seed))
  return () => next() / 2 ** 32
}

/** The four words of state for a seed of 32 bits. */
function splitmix32(seed: number): [number, number, number, number] {
  let at = seed >>> 0
  const next = () => {
    at = (at + 0x9e37_79b9) >>> 0
    let z = at
    z = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35)
    return (z ^ (z >>> 16)) >>> 0
  }
  return [next(), next(), next(), next()]
}

/** @returns a function whose calls give unsigned integers of 32 bits */
export function xoshiro128(state: readonly [number, number, number, number]): () => number {
  let [a, b, c, d] = state
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = rotateLeft(d, 11)
    return result
  }
}

const rotateLeft = (word: number, bits: number) => (word << bits) | (word >>> (32 - bits))
