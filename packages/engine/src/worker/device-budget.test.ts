import { describe, expect, it } from 'vitest'
import { tinyModel } from '../testing/tiny-model.ts'
import {
  alice,
  alone,
  bob,
  createHousehold,
  nLayers,
  question,
  serveModel,
  until,
} from './household.fixture.ts'

describe('a memory budget', () => {
  it('says the same words when most layers stream, whatever the budget, and while it moves', async () => {
    const judge = await alone()
    const house = await createHousehold([alice, bob])
    house.plan(1, bob, [
      [alice, 5],
      [bob, 1],
    ])
    await house.ready(alice, bob)
    const holding = house.member(alice).device
    expect(holding.streaming()).toBeNull()
    // Five layers of 145 kB do not fit beside scratch and buffers (163 kB) and an answer's KV cache (82 kB); two at a
    // time do, also beside the KV cache of a conversation at full length (328 kB).
    holding.setMemoryBudget(800_000)
    expect((await house.ask(alice)).text).toBe(judge.text)
    expect(holding.streaming()).toMatchObject({ layers: expect.any(Number), acquired: expect.any(Number) })
    expect(holding.streaming()!.acquired).toBeGreaterThan(0)

    const answer = house.ask(bob, question, 'chat-0002')
    for (const bytes of [2 ** 30, 800_000, 2 ** 30]) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      holding.setMemoryBudget(bytes)
    }
    expect((await answer).text).toBe(judge.text)
    await until(() => holding.streaming() === null)
  })

  it.each([true, false])(
    'streams the output and reads embeddings by row where they do not fit (tied: %s)',
    async (tied) => {
      await serveModel(tinyModel({ nLayers, seed: 3, ffnDim: 32, vocabSize: 560, tiedOutput: tied }))
      const house = await createHousehold([alice])
      house.plan(1, alice, [[alice, nLayers]])
      await house.ready(alice)
      const { device, memoryBytes } = house.member(alice)
      const judge = await house.ask(alice)
      expect(judge.text.length).toBeGreaterThan(0)
      // An output of 143 kB, and an embedding as large unless tied, beside six layers of 75 kB.
      for (const [chat, budgetBytes] of [
        ['chat-0002', 740_000],
        ['chat-0003', 1_000_000],
        ['chat-0004', 2 ** 30],
      ] as const) {
        device.setMemoryBudget(budgetBytes)
        expect((await house.ask(alice, question, chat)).text).toBe(judge.text)
        // Whatever streams, the last unit does, which is a piece of the output.
        expect(device.streaming() === null).toBe(budgetBytes === 2 ** 30)
        // Three conversations of one page each are more than the one that was counted.
        if (chat === 'chat-0002') expect(memoryBytes()).toBeLessThan(budgetBytes)
      }
    },
  )

  it('forgets conversations of before where memory has no room for another one', async () => {
    const judge = await alone()
    const house = await createHousehold([alice], 900_000)
    house.plan(1, alice, [[alice, nLayers]])
    await house.ready(alice)
    for (let i = 1; i <= 5; i++) {
      const { text, end } = await house.ask(alice, question, `chat-000${i}`)
      expect(end).toMatchObject({ type: 'done' })
      expect(text).toBe(judge.text)
      expect(house.member(alice).memoryBytes()).toBeLessThan(900_000)
    }
  })

  it('says how much memory it lacks when not even two layers fit', async () => {
    const house = await createHousehold([alice], 100_000)
    house.plan(1, alice, [[alice, nLayers]])
    await until(() => house.member(alice).status.phase === 'failed')
    expect(house.member(alice).status).toMatchObject({
      code: 'out-of-memory',
      message: expect.stringMatching(/at least \d+ MB here.*offers 1 MB/),
    })
  })
})
