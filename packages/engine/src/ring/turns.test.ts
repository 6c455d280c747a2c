import { expect, test } from 'vitest'
import type { Activation } from '../protocol.ts'
import { createTurns } from './turns.ts'

type Chunk = { session?: number; position: number; rows?: number; more?: boolean; layer?: number }

const chunk = ({ session = 1, position, rows = 1, more = false, layer = 0 }: Chunk): Activation => ({
  plan: 1,
  session,
  position,
  layer,
  rows,
  ...(more ? { more } : {}),
  hidden: new Float32Array(rows).fill(session * 1000 + position),
})

/** The end of a volley whose last rows were lost on the way. */
const end = (layer = 0) => chunk({ session: 0, position: 0, rows: 0, layer })

/** Turns of a device that wants so many rows at once, and its steps: [session, position, rows] of each, and 'more'. */
function turnsThatWant(wantedRows: number) {
  const steps: ([number, number, number] | 'more')[][] = []
  const { take } = createTurns(
    async ({ spans, more }) => {
      const taken = spans.map(({ session, position, rows }): [number, number, number] => [
        session,
        position,
        rows,
      ])
      steps.push([...taken, ...(more ? (['more'] as const) : [])])
    },
    () => wantedRows,
  )
  return { take, steps }
}

const settle = () => new Promise((resolve) => setTimeout(resolve))

test('a volley runs as one step: rows of several sessions, and chunks of one joined', async () => {
  const { take, steps } = turnsThatWant(100)
  void take(chunk({ session: 1, position: 7, more: true }))
  void take(chunk({ session: 2, position: 0, rows: 30, more: true }))
  void take(chunk({ session: 2, position: 30, rows: 30, more: true }))
  await settle()
  expect(steps).toEqual([])
  void take(chunk({ session: 3, position: 9 }))
  await settle()
  expect(steps).toEqual([
    [
      [1, 7, 1],
      [2, 0, 60],
      [3, 9, 1],
    ],
  ])
})

test('joined chunks stand behind one another', async () => {
  const spans: Activation[] = []
  const { take } = createTurns(
    async (step) => void spans.push(...step.spans),
    () => 100,
  )
  void take(chunk({ position: 0, rows: 2, more: true }))
  void take(chunk({ position: 2, rows: 1 }))
  await settle()
  expect(spans.map(({ hidden }) => [...hidden])).toEqual([[1000, 1000, 1002]])
})

test('who waits for nothing runs what is there, and says that more follow', async () => {
  const { take, steps } = turnsThatWant(1)
  void take(chunk({ session: 1, position: 7, more: true }))
  await settle()
  void take(chunk({ session: 2, position: 3 }))
  await settle()
  expect(steps).toEqual([[[1, 7, 1], 'more'], [[2, 3, 1]]])
})

test('others run at another layer while a volley waits for its rows', async () => {
  const { take, steps } = turnsThatWant(100)
  void take(chunk({ position: 0, rows: 30, more: true }))
  void take(chunk({ session: 2, position: 7, layer: 8 }))
  await settle()
  expect(steps).toEqual([[[2, 7, 1]]])
})

test('one volley after another, though they wait together', async () => {
  const { take, steps } = turnsThatWant(100)
  void take(chunk({ session: 1, position: 7 }))
  void take(chunk({ session: 2, position: 4, more: true }))
  void take(chunk({ session: 3, position: 5 }))
  await settle()
  expect(steps).toEqual([
    [[1, 7, 1]],
    [
      [2, 4, 1],
      [3, 5, 1],
    ],
  ])
})

test('a volley whose end was lost on the way runs when it is told so, and so does nothing but an end', async () => {
  const { take, steps } = turnsThatWant(100)
  void take(chunk({ session: 1, position: 7, more: true }))
  void take(end())
  await settle()
  void take(end())
  await settle()
  expect(steps).toEqual([[[1, 7, 1]], []])
})

test('what was begun and is begun anew is forgotten, and nobody waits in vain for it', async () => {
  const { take, steps } = turnsThatWant(100)
  void take(chunk({ session: 1, position: 0, rows: 30, more: true }))
  void take(chunk({ session: 2, position: 5, more: true }))
  void take(chunk({ session: 1, position: 0, rows: 20 }))
  await settle()
  expect(steps).toEqual([
    [
      [2, 5, 1],
      [1, 0, 20],
    ],
  ])
})

test('nobody is held back for good, however many rows are wanted', async () => {
  const { take, steps } = turnsThatWant(Infinity)
  for (let position = 0; position < 1500; position += 100)
    await take(chunk({ position, rows: 100, more: position < 1400 }))
  await settle()
  const rows = steps.map(([span]) => (span === 'more' ? 0 : span![2]))
  expect(rows.reduce((sum, n) => sum + n, 0)).toBe(1500)
  for (const n of rows.slice(0, -1)) expect(n).toBeGreaterThanOrEqual(500)
})
