import { expect, test } from 'vitest'
import { count, number, oneOf, sizes } from './arguments.ts'

test('sizes are decimal, one or several', () => {
  expect(sizes('cap', '512MB')).toEqual([512e6])
  expect(sizes('cap', '1.5GB, 700 mb')).toEqual([1.5e9, 700e6])
})

test.each(['', '512', '1TB', '-1GB', '512MB,', 'MB'])('"%s" is no size', (text) => {
  expect(() => sizes('cap', text)).toThrow('--cap takes sizes such as 512MB or 1.5GB')
})

test('numbers are whole where they count, and within bounds', () => {
  expect(count('devices', '8', 1, 8)).toBe(8)
  for (const text of ['0', '9', '1.5', '', 'many']) {
    expect(() => count('devices', text, 1, 8)).toThrow(
      `--devices takes a whole number from 1 to 8, not "${text}"`,
    )
  }
  expect(number('temperature', '0.7', 0, 10)).toBe(0.7)
  expect(() => number('temperature', ' ', 0, 10)).toThrow('--temperature takes a number from 0 to 10')
})

test('a choice is one of those there are', () => {
  expect(oneOf('dtype', 'f16', ['f16', 'f32'])).toBe('f16')
  expect(() => oneOf('dtype', 'f64', ['f16', 'f32'])).toThrow('--dtype takes f16 or f32, not "f64"')
})
