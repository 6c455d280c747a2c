import { expect, it } from 'vitest'
import { isNewer, nextNumber } from './plan-number.ts'

it('counts from 1 to 65,535 and begins again', () => {
  expect(nextNumber(0)).toBe(1)
  expect(nextNumber(1)).toBe(2)
  expect(nextNumber(65_534)).toBe(65_535)
  expect(nextNumber(65_535)).toBe(1)
})

it('calls a number newer up to half the circle ahead', () => {
  expect(isNewer(2, 1)).toBe(true)
  expect(isNewer(1, 2)).toBe(false)
  expect(isNewer(7, 7)).toBe(false)
  expect(isNewer(1, 65_535)).toBe(true)
  expect(isNewer(65_535, 1)).toBe(false)
  expect(isNewer(32_768, 1)).toBe(true)
  expect(isNewer(32_769, 1)).toBe(false)
})
