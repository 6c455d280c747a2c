import { describe, expect, test } from 'vitest'
import { rowBytes, weightTypes, type WeightType } from '../gguf/quant.ts'
import { randomBlocks } from '../testing/random-blocks.ts'
import { wasmPacking } from './wasm-packing.ts'

const types = Object.keys(weightTypes) as WeightType[]

describe.each(types)('%s packed', (type) => {
  const cols = 512
  const bytes = rowBytes(type, cols)
  const groupBytes = wasmPacking.groupBytes(type, cols)
  const source = randomBlocks(7, type, 8, cols)

  function pack(rows: Uint8Array): Uint8Array {
    const out = new Uint8Array(groupBytes).fill(0xee)
    wasmPacking.packGroup(type, cols, rows.length / bytes, rows, out)
    return out
  }

  test('is at most 3 % larger than GGUF and a multiple of 16 bytes', () => {
    expect(groupBytes / (8 * bytes)).toBeLessThanOrEqual(1.03)
    expect(groupBytes % 16).toBe(0)
  })

  test('keeps every bit: each row that differs makes a group that differs', () => {
    const whole = pack(source)
    for (let i = 0; i < source.length; i += 97) {
      const changed = source.slice()
      changed[i]! ^= 0x10
      expect(pack(changed)).not.toEqual(whole)
    }
  })

  test('does not care where in a buffer the rows lie', () => {
    const shifted = new Uint8Array(source.length + 1)
    shifted.set(source, 1)
    expect(pack(shifted.subarray(1))).toEqual(pack(source))
  })

  test('fills a short last group with rows of zeros', () => {
    const short = pack(source.subarray(0, 3 * bytes))
    const padded = new Uint8Array(source.length)
    padded.set(source.subarray(0, 3 * bytes))
    expect(short).toEqual(pack(padded))
  })
})
