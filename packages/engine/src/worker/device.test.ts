import { describe, expect, it } from 'vitest'
import type { ChatMessage } from '../protocol.ts'
import { createMemoryLinks } from '../ring/memory-link.ts'
import { encodeActivation } from '../wire.ts'
import {
  alice,
  alone,
  bob,
  charlie,
  createHousehold,
  greedy,
  nLayers,
  question,
  until,
} from './household.fixture.ts'

describe('a household of devices', () => {
  it('answers from a ring of three with the words of one device alone, whoever asks', async () => {
    const judge = await alone()
    expect(judge.text.length).toBeGreaterThan(0)
    const house = await createHousehold([alice, bob, charlie])
    house.plan(1, bob, [
      [alice, 2],
      [charlie, 3],
      [bob, 1],
    ])
    await house.ready(alice, bob, charlie)
    for (const id of [alice, bob, charlie]) {
      const { text, end } = await house.ask(id)
      expect(text).toBe(judge.text)
      expect(end).toMatchObject({ type: 'done', stats: { outputTokens: 12, stop: 'length' } })
    }
  })

  it('tells the room while its head is answering', async () => {
    const house = await createHousehold([alice, bob])
    house.plan(1, alice, [
      [alice, 3],
      [bob, 3],
    ])
    await house.ready(alice, bob)
    const ready = { phase: 'ready', plan: 1 }
    expect(house.member(alice).status).toEqual(ready)
    const answer = house.ask(bob)
    await until(() => house.member(alice).events.length > 0 || house.member(bob).events.length > 0)
    expect(house.member(alice).status).toEqual({ ...ready, answering: true })
    expect(house.member(bob).status).toEqual(ready)
    await answer
    await until(() => !('answering' in house.member(alice).status))
    expect(house.member(alice).status).toEqual(ready)
  })

  it('fetches on each device its own layers only, and the head tensors on the head only', async () => {
    const house = await createHousehold([alice, bob])
    house.plan(1, alice, [
      [bob, 4],
      [alice, 2],
    ])
    await house.ready(alice, bob)
    const layers = house.choice.profile.layerBytes.map((bytes) =>
      Object.values(bytes).reduce((a, b) => a + b, 0),
    )
    const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0)
    const headerBytes = house.member(bob).fetchedBytes - sum(layers.slice(0, 4))
    expect(headerBytes).toBeGreaterThan(0)
    expect(house.member(alice).fetchedBytes - headerBytes).toBeGreaterThanOrEqual(sum(layers.slice(4)))
    const fetched = sum([...house.members.values()].map(({ fetchedBytes }) => fetchedBytes))
    expect(fetched).toBeLessThanOrEqual(house.choice.model.sizeBytes + 2 * headerBytes)
  })

  it('runs only what is new in a second turn, and everything again after a device was reloaded, downloading nothing', async () => {
    const house = await createHousehold([alice, bob, charlie])
    house.plan(1, alice, [
      [bob, 2],
      [charlie, 2],
      [alice, 2],
    ])
    await house.ready(alice, bob, charlie)
    const first = await house.ask(bob)
    const turns: ChatMessage[] = [
      ...question,
      { role: 'assistant', content: first.text },
      { role: 'user', content: 'in the' },
    ]
    const second = await house.ask(bob, turns)
    expect(second.end).toMatchObject({ type: 'done' })
    if (second.end.type !== 'done') return
    expect(second.end.stats.cachedTokens).toBeGreaterThan(10)

    await house.reload(charlie)
    await house.ready(charlie)
    expect(house.member(charlie).fetchedBytes).toBe(0)
    const again = await house.ask(bob, turns)
    expect(again.text).toBe(second.text)
  })

  it('stops when told to, and says how far it got', async () => {
    const house = await createHousehold([alice, bob])
    house.plan(1, alice, [
      [bob, 3],
      [alice, 3],
    ])
    await house.ready(alice, bob)
    const { device, events } = house.member(bob)
    const answer = house.ask(bob, question, 'chat-0001', { ...greedy, maxTokens: 100 })
    await until(() => events.filter(({ type }) => type === 'token').length >= 3)
    device.ask({ type: 'abort', chat: 'chat-0001' })
    const { end } = await answer
    expect(end).toMatchObject({ type: 'done', stats: { stop: 'aborted' } })
    if (end.type === 'done') expect(end.stats.outputTokens).toBeLessThan(60)
  })

  it('counts the frames that belong to no plan of its own', async () => {
    const house = await createHousehold([alice, bob])
    house.plan(1, alice, [[alice, nLayers]])
    await house.ready(alice, bob)
    const frame = encodeActivation(
      { plan: 9, session: 0, position: 0, layer: 0, rows: 1, hidden: new Float32Array(8) },
      'f16',
    )
    const dropped = () => [alice, bob].map((id) => house.member(id).device.droppedFrames())
    expect(dropped()).toEqual([0, 0])
    for (const id of [alice, bob]) {
      const [stranger, here] = createMemoryLinks()
      house.member(id).device.addLink(charlie, here)
      await stranger.send(frame)
    }
    await until(() => dropped().every((frames) => frames === 1))
    house.plan(2, bob, [[bob, nLayers]])
    await house.ready(alice, bob)
    expect(dropped()).toEqual([1, 1])
  })

  it('refuses a conversation longer than the context with the numbers', async () => {
    const house = await createHousehold([alice])
    house.plan(1, alice, [[alice, nLayers]])
    await house.ready(alice)
    const { end } = await house.ask(alice, [{ role: 'user', content: 'x'.repeat(400) }])
    expect(end).toMatchObject({
      type: 'chat-failed',
      code: 'context-full',
      message: expect.stringMatching(/\d+ tokens.*255/),
    })
  })

  it('says why a model that changed at its source cannot be loaded, and follows the next plan', async () => {
    const house = await createHousehold([alice])
    house.server.behaviour.headers['ETag'] = '"v2"'
    house.plan(1, alice, [[alice, nLayers]])
    await until(() => house.member(alice).status.phase === 'failed')
    expect(house.member(alice).status).toMatchObject({ code: 'model-changed' })
    house.server.behaviour.headers['ETag'] = '"v1"'
    house.plan(2, alice, [[alice, nLayers]])
    await house.ready(alice)
    expect((await house.ask(alice)).text).toBe((await alone()).text)
  })

  it('lets go of its layers when there is no plan any more, and takes them from its store for the next', async () => {
    const house = await createHousehold([alice])
    const { memoryBytes } = house.member(alice)
    const before = memoryBytes()
    house.plan(1, alice, [[alice, nLayers]])
    await house.ready(alice)
    const { fetchedBytes } = house.member(alice)
    expect(memoryBytes()).toBeGreaterThan(before)
    house.noPlan()
    await until(() => memoryBytes() === before)
    house.plan(2, alice, [[alice, nLayers]])
    await house.ready(alice)
    expect(house.member(alice).fetchedBytes).toBe(fetchedBytes)
  })
})
