/**
 * Bytes without a pattern, for tests that move bytes.
 *
 * @module
 */

/** Bytes that look random and are the same every time (xorshift32). */
export function noise(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = state
  }
  return bytes
}
