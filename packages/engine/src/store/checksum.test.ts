import { expect, test } from 'vitest'
import { xxh32 } from './checksum.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

// From the tests of xxHash's C, Rust and Python implementations.
test.each([
  ['', 0, '2cc5d05'],
  ['a', 0, '550d7456'],
  ['abc', 0, '32d153ff'],
  ['Nobody inspects the spammish repetition', 0, 'e2293b2f'],
  ['I want an unsigned 32-bit seed!', 0, 'f7a35af8'],
  ['I want an unsigned 32-bit seed!', 1, 'd8d4b4ba'],
])('XXH32 of "%s" with seed %i is %s', (text, seed, hash) => {
  expect(xxh32(bytes(text), seed).toString(16)).toBe(hash)
})

test('where the bytes lie does not matter: any alignment, shared memory', () => {
  const text = bytes('Nobody inspects the spammish repetition')
  const shared = new Uint8Array(new SharedArrayBuffer(64))
  for (const offset of [0, 1, 2, 3, 5]) {
    shared.set(text, offset)
    expect(xxh32(shared.subarray(offset, offset + text.length))).toBe(0xe2293b2f)
  }
})
