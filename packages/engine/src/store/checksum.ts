/**
 * XXH32, the checksum of pieces at rest: it finds decay and torn writes, not malice, and is fast enough to be
 * computed on every load.
 *
 * Source: xxHash fast digest algorithm, specification v0.1.1, "XXH32 Algorithm Description".
 *
 * @module
 */

/** A checksum of bytes, as an unsigned 32-bit number. */
export type Checksum = (bytes: Uint8Array) => number

const prime1 = 0x9e3779b1
const prime2 = 0x85ebca77
const prime3 = 0xc2b2ae3d
const prime4 = 0x27d4eb2f
const prime5 = 0x165667b1

const rotate = (value: number, bits: number) => (value << bits) | (value >>> (32 - bits))

/** One lane of the 16-byte stripes: multiply in a word, stir. */
const round = (lane: number, word: number) => Math.imul(rotate(lane + Math.imul(word, prime2), 13), prime1)

/** Reads little-endian words at any alignment, of shared memory too. */
export function xxh32(bytes: Uint8Array, seed = 0): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const { length } = bytes
  let at = 0
  let hash = (seed + prime5) | 0
  if (length >= 16) {
    let a = (seed + prime1 + prime2) | 0
    let b = (seed + prime2) | 0
    let c = seed | 0
    let d = (seed - prime1) | 0
    for (; at <= length - 16; at += 16) {
      a = round(a, view.getInt32(at, true))
      b = round(b, view.getInt32(at + 4, true))
      c = round(c, view.getInt32(at + 8, true))
      d = round(d, view.getInt32(at + 12, true))
    }
    hash = (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0
  }
  hash = (hash + length) | 0
  for (; at <= length - 4; at += 4) {
    hash = Math.imul(rotate((hash + Math.imul(view.getInt32(at, true), prime3)) | 0, 17), prime4)
  }
  for (; at < length; at++) {
    hash = Math.imul(rotate((hash + Math.imul(view.getUint8(at), prime5)) | 0, 11), prime1)
  }
  hash = Math.imul(hash ^ (hash >>> 15), prime2)
  hash = Math.imul(hash ^ (hash >>> 13), prime3)
  return (hash ^ (hash >>> 16)) >>> 0
}
