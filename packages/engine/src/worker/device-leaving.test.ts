import type { DeviceId } from '@hearth/halda'
import { describe, expect, it } from 'vitest'
import type { ChatMessage, GenerateOptions } from '../protocol.ts'
import {
  alice,
  bob,
  charlie,
  createHousehold,
  greedy,
  nLayers,
  question,
  until,
  type Household,
} from './household.fixture.ts'

describe('when the ring breaks in the middle of an answer', () => {
  const talk = { ...greedy, maxTokens: 60, temperature: 0.8, topP: 0.9, seed: 7 }
  const said = (house: Household, id: DeviceId) =>
    house.member(id).events.filter(({ type }) => type === 'token').length
  const pauses = (house: Household, id: DeviceId) =>
    house.member(id).events.flatMap((event) => (event.type === 'paused' ? event.message : []))

  /** What was said before decides how the next question is read, also by a head that has not heard it. */
  async function twoTurns(
    house: Household,
    asker: DeviceId,
    inTheMiddle: () => Promise<void>,
    options: GenerateOptions = talk,
  ) {
    const first = await house.ask(asker, question, 'chat-0001', { ...options, maxTokens: 20 })
    const turns: ChatMessage[] = [
      ...question,
      { role: 'assistant', content: first.text },
      { role: 'user', content: 'in the' },
    ]
    const before = said(house, asker)
    const second = house.ask(asker, turns, 'chat-0001', options)
    await until(() => said(house, asker) > before + 6)
    await inTheMiddle()
    return [first.text, (await second).text, (await second).end] as const
  }

  async function undisturbed(options: GenerateOptions = talk) {
    const house = await createHousehold([alice])
    house.plan(1, alice, [[alice, nLayers]])
    await house.ready(alice)
    return twoTurns(house, alice, async () => {}, options)
  }

  async function ringOfThree() {
    const house = await createHousehold([alice, bob, charlie])
    house.plan(1, alice, [
      [bob, 3],
      [charlie, 1],
      [alice, 2],
    ])
    await house.ready(alice, bob, charlie)
    return house
  }

  it.each([
    ['the head asked', alice, bob],
    ['another one asked', charlie, bob],
    ['it was the head', charlie, alice],
  ])('goes on in the next one with the words of one device alone, where %s', async (_, asker, leaver) => {
    const expected = await undisturbed()
    const house = await ringOfThree()
    const head = leaver === alice ? charlie : alice
    const [first, second, end] = await twoTurns(house, asker, async () => {
      house.leave(leaver)
      await until(() => pauses(house, asker).length > 0)
      house.forget(leaver)
      house.plan(2, head, [
        [head, 2],
        [head === alice ? charlie : bob, 4],
      ])
    })
    expect([first, second]).toEqual(expected.slice(0, 2))
    expect(end).toMatchObject({ type: 'done', stats: { outputTokens: 60, stop: 'length' } })
    const name = leaver === alice ? 'alice' : 'bob'
    expect(pauses(house, asker).at(-1)).toBe(`${name} left; laying the ring again …`)
  })

  it('goes on where guesses were on their way', async () => {
    // Made-up weights repeat themselves when nothing is drawn.
    const repeating = { ...talk, temperature: 0.3, maxTokens: 90 }
    const expected = await undisturbed({ ...repeating, drafts: 'never' })
    const house = await ringOfThree()
    const [first, second, end] = await twoTurns(house, charlie, () => house.reload(bob), {
      ...repeating,
      drafts: 'always',
    })
    expect(end.type === 'done' && end.stats.draftedTokens).toBeGreaterThan(0)
    expect([first, second]).toEqual(expected.slice(0, 2))
    expect(pauses(house, charlie).length).toBeGreaterThan(0)
  })

  it('goes on with a device that was reloaded', async () => {
    const expected = await undisturbed()
    const house = await ringOfThree()
    const [first, second] = await twoTurns(house, charlie, () => house.reload(bob))
    expect([first, second]).toEqual(expected.slice(0, 2))
    expect(pauses(house, charlie).length).toBeGreaterThan(0)
  })

  it('goes on when the layers are shared out anew', async () => {
    const expected = await undisturbed()
    const house = await ringOfThree()
    const [first, second] = await twoTurns(house, bob, async () => {
      house.plan(2, alice, [
        [alice, 4],
        [charlie, 2],
      ])
    })
    expect([first, second]).toEqual(expected.slice(0, 2))
    expect(pauses(house, bob)).toEqual(['Laying the ring again …'])
  })

  it('goes on with all that were being answered, and with those that had not begun', async () => {
    const house = await ringOfThree()
    const chats = Array.from({ length: 10 }, (_, i) => `chat-010${i}`)
    const ask = () =>
      Promise.all(
        chats.map((chat, i) => house.ask([alice, charlie, bob][Math.floor(i / 4)]!, question, chat, talk)),
      )
    const expected = await ask()
    expect(expected.map(({ end }) => end.type)).toEqual(chats.map(() => 'done'))
    const before = said(house, alice)
    const answers = ask()
    await until(() => said(house, alice) > before + 20)
    house.plan(2, charlie, [
      [charlie, 3],
      [alice, 3],
    ])
    expect((await answers).map(({ text }) => text)).toEqual(expected.map(({ text }) => text))
  })

  it.each([
    ['no plan is possible', (house: Household) => house.noPlan()],
    ['another model is chosen', (house: Household) => house.otherModel()],
  ])('ends it with the name of the device that left, where %s', async (_, then) => {
    const house = await ringOfThree()
    const answer = house.ask(charlie, question, 'chat-0001', talk)
    await until(() => said(house, charlie) > 6)
    house.leave(bob)
    // The one that asked tells the server who is missed.
    await until(() => house.member(charlie).missed.has(bob))
    then(house)
    const { text, end } = await answer
    expect(text).not.toBe('')
    expect(end).toMatchObject({
      type: 'chat-failed',
      code: 'device-left',
      message: expect.stringContaining('bob'),
    })
  })

  it('stops at once while it waits', async () => {
    const house = await ringOfThree()
    const answer = house.ask(charlie, question, 'chat-0001', talk)
    await until(() => said(house, charlie) > 6)
    house.leave(bob)
    await until(() => pauses(house, charlie).length > 0)
    house.member(charlie).device.ask({ type: 'abort', chat: 'chat-0001' })
    expect(house.member(charlie).events.at(-1)).toMatchObject({ type: 'chat-failed', code: 'aborted' })
    await answer
    const { length } = house.member(charlie).events
    house.forget(bob)
    house.plan(2, alice, [[alice, nLayers]])
    await house.ready(alice)
    const next = await house.ask(charlie, question, 'chat-0002')
    expect(next.end.type).toBe('done')
    const later = house.member(charlie).events.slice(length)
    expect(new Set(later.map(({ chat }) => chat))).toEqual(new Set(['chat-0002']))
  })
})
