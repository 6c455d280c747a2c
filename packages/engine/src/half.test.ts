import { expect, test } from 'vitest'
import { floatToHalf, halfToFloat } from './half.ts'

test('known values read as IEEE 754 says', () => {
  expect(halfToFloat(0x3c00)).toBe(1)
  expect(halfToFloat(0xc000)).toBe(-2)
  expect(halfToFloat(0x7bff)).toBe(65504)
  expect(halfToFloat(0x0001)).toBe(2 ** -24)
  expect(halfToFloat(0x03ff)).toBe(1023 * 2 ** -24)
  expect(halfToFloat(0x0400)).toBe(2 ** -14)
  expect(halfToFloat(0x3555)).toBe(1365 / 4096)
  expect(halfToFloat(0x8000)).toBe(-0)
  expect(halfToFloat(0xfc00)).toBe(-Infinity)
  expect(halfToFloat(0x7c01)).toBeNaN()
})

test('every half survives the way to a float and back', () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = halfToFloat(bits)
    if (Number.isNaN(value)) expect(halfToFloat(floatToHalf(value))).toBeNaN()
    else if (floatToHalf(value) !== bits) expect.fail(`0x${bits.toString(16)} came back otherwise`)
  }
})

test('a float between two halves goes to the nearest, a tie to the even one', () => {
  expect(floatToHalf(1 + 2 ** -11)).toBe(0x3c00)
  expect(floatToHalf(1 + 3 * 2 ** -11)).toBe(0x3c02)
  expect(floatToHalf(1 + 2 ** -11 + 2 ** -20)).toBe(0x3c01)
  expect(floatToHalf(2 ** -25)).toBe(0x0000)
  expect(floatToHalf(3 * 2 ** -25)).toBe(0x0002)
  expect(floatToHalf(65519.9)).toBe(0x7bff)
  expect(floatToHalf(65520)).toBe(0x7c00)
  expect(floatToHalf(-1e10)).toBe(0xfc00)
})
