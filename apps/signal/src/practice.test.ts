import { plan, type PlanResult } from '@hearth/halda'
import { expect, it } from 'vitest'
import { practise } from './practice.ts'

it('plans made-up rooms, all of which can be planned, some in one round and some in more', () => {
  const results: PlanResult[] = []
  practise((...problem) => {
    const result = plan(...problem)
    results.push(result)
    return result
  })
  const rounds = results.map((result) => (result.ok ? result.plan.rounds : result.message))
  expect(rounds).toContain(1)
  expect(rounds.filter((each) => typeof each === 'number' && each > 1).length).toBeGreaterThan(0)
  for (const each of rounds) expect(each).toBeTypeOf('number')
})
