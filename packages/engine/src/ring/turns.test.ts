import { expect, test } from 'vitest'
import type { Activation } from '../protocol.ts'
import { createTurns } from './turns.ts'

const chunk = (position: number, rows: number, more = false, session = 1): Activation => ({
  plan: 1,
  session,
  position,
  layer: 0,
  rows,
  ...(more ? { more } : {}),
  hidden: new Float32Array(rows),
})

/** Turns of a device that wants so many rows at once, and the steps that it took: [session, position, rows]. */
function turnsThatWant(wantedRows: number) {
  const steps: [number, number, number][] = []
  const { take } = createTurns(
    async ({ session, position, rows }) => void steps.push([session, position, rows]),
    () => wantedRows,
  )
  return { take, steps }
}

test('others run while a prompt waits for its rows', async () => {
  const { take, steps } = turnsThatWant(100)
  await take(chunk(0, 30, true))
  await take(chunk(7, 1, false, 2))
  expect(steps).toEqual([[2, 7, 1]])
  await take(chunk(30, 30, true))
  await take(chunk(60, 5))
  await Promise.resolve()
  expect(steps).toEqual([
    [2, 7, 1],
    [1, 0, 65],
  ])
})

test('what was begun and is begun anew is forgotten', async () => {
  const { take, steps } = turnsThatWant(100)
  await take(chunk(0, 30, true))
  await take(chunk(0, 20))
  expect(steps).toEqual([[1, 0, 20]])
})

test('nobody is held back for good, however many rows are wanted', async () => {
  const { take, steps } = turnsThatWant(Infinity)
  for (let position = 0; position < 1500; position += 100) await take(chunk(position, 100, position < 1400))
  await new Promise((resolve) => setTimeout(resolve))
  expect(steps.reduce((sum, [, , rows]) => sum + rows, 0)).toBe(1500)
  for (const [, , rows] of steps.slice(0, -1)) expect(rows).toBeGreaterThanOrEqual(500)
})
