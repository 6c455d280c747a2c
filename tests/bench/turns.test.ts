import { expect, test } from 'vitest'
import { spreadOf, takeTurns } from './turns.ts'

test('everybody is asked once a turn, there and back again, and the first turn does not count', async () => {
  const asked: string[] = []
  const asker = (name: string) => async () => asked.push(name)
  const said = await takeTurns([asker('alice'), asker('bob')], 2, async () => '')
  expect(asked.join(' ')).toBe('alice bob bob alice alice bob')
  expect(said).toEqual([
    [4, 5],
    [3, 6],
  ])
})

test('a turn in which something else changed is taken again', async () => {
  let plan = 1
  let turn = 0
  const asker = async () => {
    if (++turn === 2) plan++
    return turn
  }
  expect(await takeTurns([asker], 2, async () => `plan ${plan}`)).toEqual([[3, 4]])
})

test('where something changes all the time, that is said and not waited for', async () => {
  let asked = 0
  const endless = takeTurns([async () => asked++], 2, async () => `${asked}`)
  await expect(endless).rejects.toThrow('No turn passed')
  expect(asked).toBe(7)
})

test('half of all values lie between the quartiles', () => {
  expect(spreadOf([5, 1, 4, 2, 3])).toEqual({ median: 3, lowerQuartile: 2, upperQuartile: 4 })
  expect(spreadOf([7])).toEqual({ median: 7, lowerQuartile: 7, upperQuartile: 7 })
})
