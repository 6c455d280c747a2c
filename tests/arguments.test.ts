import { expect, test } from 'vitest'
import { count, counts, number, oneOf, sizes, someOf } from './arguments.ts'

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

test('some of what there is, all of it by default, and lists of numbers', () => {
  const types = ['Q4_0', 'Q8_0'] as const
  expect(someOf('types', undefined, types)).toEqual(['Q4_0', 'Q8_0'])
  expect(someOf('types', 'Q8_0', types)).toEqual(['Q8_0'])
  expect(() => someOf('types', 'Q8_0,Q9_0', types)).toThrow('--types takes Q4_0 or Q8_0, not "Q9_0"')
  expect(counts('threads', '1,2')).toEqual([1, 2])
  expect(() => counts('threads', '1,')).toThrow('--threads takes a whole number')
})
