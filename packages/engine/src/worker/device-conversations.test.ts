import type { DeviceId } from '@hearth/halda'
import { describe, expect, it } from 'vitest'
import {
  alice,
  bob,
  charlie,
  createHousehold,
  nLayers,
  question,
  until,
  type Household,
} from './household.fixture.ts'

const questions = ['the hearth', 'a fox and a goose', 'in the evening', 'seven and five is'].map(
  (content, i) => ({
    chat: `chat-000${i}`,
    messages: [{ role: 'user' as const, content }],
    options: { maxTokens: 10 + 3 * i, temperature: i % 2, topP: 0.9, seed: i },
  }),
)
const askAll = (house: Household, from: (i: number) => DeviceId, moreTokens = 0) =>
  Promise.all(
    questions.map(({ chat, messages, options }, i) =>
      house.ask(from(i), messages, chat, { ...options, maxTokens: options.maxTokens + moreTokens }),
    ),
  )
const textsOf = (answers: Awaited<ReturnType<typeof askAll>>) => answers.map(({ text }) => text)

async function eachAlone(moreTokens = 0): Promise<string[]> {
  const house = await createHousehold([alice])
  house.plan(1, alice, [[alice, nLayers]])
  await house.ready(alice)
  const texts: string[] = []
  for (const { chat, messages, options } of questions) {
    const maxTokens = options.maxTokens + moreTokens
    texts.push((await house.ask(alice, messages, chat, { ...options, maxTokens })).text)
  }
  return texts
}

describe('several conversations at once', () => {
  it('answers eight at once, telling those behind how many must be done before', async () => {
    const house = await createHousehold([alice, bob, charlie])
    house.plan(1, alice, [[alice, nLayers]])
    await house.ready(alice, bob, charlie)
    const chats = Array.from({ length: 10 }, (_, i) => `chat-000${i}`)
    const answers = await Promise.all(
      chats.map((chat, i) => house.ask([alice, bob, charlie][Math.floor(i / 4)]!, question, chat)),
    )
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    const { events } = house.member(charlie)
    const queued = (chat: string) =>
      events.flatMap((event) => (event.type === 'queued' && event.chat === chat ? event.ahead : []))
    expect(queued('chat-0008')).toEqual([1, 0])
    expect(queued('chat-0009')).toEqual([2, 1, 0])
  })

  it.each([
    ['nothing streams', 2 ** 30],
    ['most layers stream', 700_000],
  ])('says in each what it says alone, sampled or not, where %s', async (_, budgetBytes) => {
    const expected = await eachAlone()
    expect(new Set(expected).size).toBe(questions.length)
    const house = await createHousehold([alice, bob, charlie], budgetBytes)
    house.plan(1, bob, [
      [alice, 3],
      [bob, 3],
    ])
    await house.ready(alice, bob, charlie)
    const answers = await askAll(house, (i) => [alice, bob, charlie][i % 3]!)
    expect(textsOf(answers)).toEqual(expected)
  })

  it('reads what streams once for all of them', async () => {
    const house = await createHousehold([alice, bob], 820_000)
    house.plan(1, bob, [
      [alice, 5],
      [bob, 1],
    ])
    await house.ready(alice, bob)
    const { device } = house.member(alice)
    const acquired = () => device.streaming()!.acquired / device.streaming()!.layers
    // What streams is known once somebody was answered.
    await house.ask(bob, question, 'chat-warm')
    const before = acquired()
    await askAll(house, (i) => [alice, bob][i % 2]!)
    const longest = Math.max(...questions.map(({ options }) => options.maxTokens))
    const total = questions.reduce((sum, { options }) => sum + options.maxTokens, 0)
    expect(total).toBeGreaterThan(2.5 * longest)
    // A question that comes while the first is read takes a pass of its own.
    expect(acquired() - before).toBeLessThanOrEqual(longest + questions.length)
  })

  it('lets answers wait for one another where memory has no room for all, and loses no word', async () => {
    // Two pages each, where one conversation's four were planned for.
    const expected = await eachAlone(60)
    const house = await createHousehold([alice], 900_000)
    house.plan(1, alice, [[alice, nLayers]])
    await house.ready(alice)
    expect(textsOf(await askAll(house, () => alice, 60))).toEqual(expected)
    const heldBack = house.member(alice).events.filter((event) => event.type === 'queued' && event.ahead > 0)
    expect(heldBack.length).toBeGreaterThan(0)
    expect(house.member(alice).memoryBytes()).toBeLessThan(900_000)
  })

  it('goes on where it was when a device lost the cache of one in the middle', async () => {
    const expected = await eachAlone()
    const house = await createHousehold([alice, bob])
    house.plan(1, alice, [
      [bob, 3],
      [alice, 3],
    ])
    await house.ready(alice, bob)
    const { device, events } = house.member(bob)
    const answers = askAll(house, () => bob)
    await until(() => events.filter(({ type }) => type === 'token').length >= 12)
    // Sessions are counted from 1.
    device.receiveControl(alice, { type: 'release', session: 2 })
    expect(textsOf(await answers)).toEqual(expected)
  })

  it('stops one, and the others go on', async () => {
    const expected = await eachAlone()
    const house = await createHousehold([alice, bob], 700_000)
    house.plan(1, alice, [
      [bob, 3],
      [alice, 3],
    ])
    await house.ready(alice, bob)
    const { device, events } = house.member(bob)
    const answers = askAll(house, () => bob)
    await until(() => events.filter(({ type }) => type === 'token').length >= 8)
    device.ask({ type: 'abort', chat: questions[3]!.chat })
    const ended = await answers
    expect(textsOf(ended).slice(0, 3)).toEqual(expected.slice(0, 3))
    expect(expected[3]!.startsWith(ended[3]!.text)).toBe(true)
    expect(ended[3]!.end).toMatchObject({ type: 'done', stats: { stop: 'aborted' } })
  })
})
