import { describe, expect, test } from 'vitest'
import { weightTypes, type WeightType } from '../gguf/quant.ts'
import { dequantize } from './dequant.ts'

const one = [0x00, 0x3c] // f16 1
const half = [0x00, 0x38] // f16 0.5
const two = [0x00, 0x40] // f16 2

function weightsOf(type: WeightType, bytes: number[]): number[] {
  const out = new Float32Array((bytes.length / weightTypes[type].bytes) * weightTypes[type].weights)
  dequantize(type, Uint8Array.from(bytes), out)
  return [...out]
}

const zeros = (n: number): number[] => Array<number>(n).fill(0)

describe('block sizes are those of the static asserts in ggml-common.h', () => {
  // ggml_half is 2 bytes, QK8_0 = QK4_0 = 32, QK_K = 256, K_SCALE_SIZE = 12
  const asserted: [WeightType, number, number][] = [
    ['F32', 1, 4],
    ['F16', 1, 2],
    ['Q8_0', 32, 2 + 32],
    ['Q4_0', 32, 2 + 32 / 2],
    ['Q5_0', 32, 2 + 4 + 32 / 2],
    ['Q4_K', 256, 2 * 2 + 12 + 256 / 2],
    ['Q5_K', 256, 2 * 2 + 12 + 256 / 8 + 256 / 2],
    ['Q6_K', 256, 2 + 256 / 16 + (3 * 256) / 4],
  ]
  test.each(asserted)('%s', (type, weights, bytes) => {
    expect(weightTypes[type]).toMatchObject({ weights, bytes })
  })
})

describe('blocks worked out by hand', () => {
  test('F32 and F16 are read little-endian', () => {
    expect(weightsOf('F32', [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0])).toEqual([1, -2])
    expect(weightsOf('F16', [...one, ...half, 0x00, 0xc0])).toEqual([1, 0.5, -2])
  })

  test('Q8_0: d · q, q signed', () => {
    const quants = zeros(32)
    quants.splice(0, 4, 1, 127, 0xff, 0x80)
    quants[31] = 10
    const weights = weightsOf('Q8_0', [...half, ...quants])
    expect(weights.slice(0, 4)).toEqual([0.5, 63.5, -0.5, -64])
    expect(weights[31]).toBe(5)
  })

  test('Q4_0: low nibbles first, eight is zero', () => {
    const pairs = Array<number>(16).fill(0x88)
    pairs[0] = 0xf0
    pairs[15] = 0x9a
    const weights = weightsOf('Q4_0', [...two, ...pairs])
    expect(weights[0]).toBe(-16)
    expect(weights[16]).toBe(14)
    expect(weights[15]).toBe(4)
    expect(weights[31]).toBe(2)
    expect(weights.filter((weight) => weight !== 0)).toHaveLength(4)
  })

  test('Q5_0: nibbles as Q4_0, the fifth bit of weight i is bit i of a word, sixteen is zero', () => {
    const pairs = Array<number>(16).fill(0)
    pairs[0] = 0xf1 // weight 0: 1, weight 16: 15
    const fifths = [0xfe, 0xff, 0xff, 0x7f] // all but weights 0 and 31
    const weights = weightsOf('Q5_0', [...two, ...fifths, ...pairs])
    expect(weights[0]).toBe(2 * (1 - 16))
    expect(weights[16]).toBe(2 * (31 - 16))
    expect(weights[31]).toBe(2 * -16)
    expect(weights.filter((weight) => weight !== 0)).toHaveLength(3)
  })

  test('Q5_K: as Q4_K, the fifth bit of a weight is bit j of byte i, j its sub-block', () => {
    const scales = zeros(12)
    scales[0] = 3
    scales[4] = 5
    scales[11] = 0x1 | (0x2 << 4) // scale 7: 1; min 7: 2
    const fifths = zeros(32)
    fifths[0] = 0x01 // weight 0
    fifths[31] = 0x80 // weight 255
    const quants = zeros(128)
    quants[0] = 0x0f
    quants[127] = 0x90
    const weights = weightsOf('Q5_K', [...one, ...half, ...scales, ...fifths, ...quants])
    expect(weights[0]).toBe(3 * 31 - 0.5 * 5)
    expect(weights[1]).toBe(-2.5)
    expect(weights[31]).toBe(-2.5)
    expect(weights[254]).toBe(-1)
    expect(weights[255]).toBe(25 - 1)
  })

  test('Q4_K: scales and mins of the first four sub-blocks lie in six bits, of the last four in four and two', () => {
    const scales = zeros(12)
    scales[0] = 3 | (2 << 6) // scale of 0 is 3; top bits of scale 4: 2
    scales[4] = 5 | (1 << 6) // min of 0 is 5; top bits of min 4: 1
    scales[8] = 0xc | (0x7 << 4) // scale 4: 12 + 32 = 44; min 4: 7 + 16 = 23
    scales[3] = 63 // scale of 3; no top bits for 7
    scales[11] = 0x1 | (0x2 << 4) // scale 7: 1; min 7: 2
    const quants = zeros(128)
    quants[0] = 0x0f // weight 0: 15, weight 32 (sub-block 1): 0
    quants[32 + 31] = 0x70 // weight 64 + 31 (sub-block 2): 0, weight 96 + 31 (sub-block 3): 7
    quants[64] = 0x02 // weight 128 (sub-block 4): 2
    quants[96 + 5] = 0xa0 // weight 224 + 5 (sub-block 7): 10
    const weights = weightsOf('Q4_K', [...one, ...half, ...scales, ...quants])
    expect(weights[0]).toBe(1 * 3 * 15 - 0.5 * 5)
    expect(weights[1]).toBe(-2.5)
    expect(weights[32]).toBe(0)
    expect(weights[127]).toBe(63 * 7)
    expect(weights[128]).toBe(44 * 2 - 0.5 * 23)
    expect(weights[129]).toBe(-11.5)
    expect(weights[229]).toBe(1 * 10 - 0.5 * 2)
    expect(weights[255]).toBe(-1)
  })

  test('Q6_K: four low bits, two high bits, signed scales, thirty-two is zero', () => {
    const low = zeros(128)
    const high = zeros(64)
    const scales = Array<number>(16).fill(1)
    low[0] = 0x51 // weight 0: low 1, weight 64: low 5
    high[0] = 0b11_00_01_10 // weights 0, 32, 64, 96 have high bits 2, 1, 0, 3
    low[32 + 3] = 0xf0 // weight 35: low 0, weight 99: low 15
    low[64 + 63] = 0x08 // weight 128 + 63: low 8
    high[32 + 31] = 0b00_00_10_00 // weight 128 + 32 + 31 has high bits 2
    scales[0] = 0xfd // −3
    scales[4] = 7
    const weights = weightsOf('Q6_K', [...low, ...high, ...scales, ...two])
    expect(weights[0]).toBe(2 * -3 * (1 + 32 - 32))
    expect(weights[1]).toBe(2 * -3 * -32)
    expect(weights[32]).toBe(2 * (16 - 32))
    expect(weights[64]).toBe(2 * 7 * (5 - 32))
    expect(weights[96]).toBe(2 * (48 - 32))
    expect(weights[99]).toBe(2 * (15 - 32))
    expect(weights[191]).toBe(2 * (8 + 32 - 32))
    expect(weights[255]).toBe(-64)
  })

  test('blocks follow one another', () => {
    const second = zeros(32)
    second[0] = 3
    expect(weightsOf('Q8_0', [...one, ...zeros(32), ...two, ...second])[32]).toBe(6)
  })
})

test('bytes that do not make up the weights asked for are refused', () => {
  expect(() => dequantize('Q8_0', new Uint8Array(33), new Float32Array(32))).toThrow(
    '32 Q8_0 weights take 34 bytes, not 33',
  )
})
