import { expect, test } from 'vitest'
import { dequantize } from '../backend/dequant.ts'
import { nmse } from './nmse.ts'
import type { WeightType } from '../gguf/quant.ts'
import { quantize, randomNumbers } from './random-blocks.ts'

// What rounding to 23, 10, 7, 6, 5 or 4 bits costs, roughly.
const bounds: [WeightType, number][] = [
  ['F32', 0],
  ['F16', 1e-7],
  ['Q8_0', 1e-4],
  ['Q6_K', 1e-3],
  ['Q5_K', 3e-3],
  ['Q5_0', 5e-3],
  ['Q4_K', 1e-2],
  ['Q4_0', 2e-2],
]

test.each(bounds)('numbers written as %s are read back within NMSE %s', (type, bound) => {
  const numbers = randomNumbers(3, 4096)
  const back = new Float32Array(4096)
  dequantize(type, quantize(type, numbers), back)
  expect(nmse(back, numbers)).toBeLessThanOrEqual(bound)
})

test('random numbers have mean 0 and deviation 1', () => {
  const numbers = randomNumbers(5, 20_000)
  const mean = numbers.reduce((a, b) => a + b, 0) / numbers.length
  const variance = numbers.reduce((a, b) => a + b * b, 0) / numbers.length
  expect(Math.abs(mean)).toBeLessThan(0.03)
  expect(Math.abs(variance - 1)).toBeLessThan(0.05)
})
