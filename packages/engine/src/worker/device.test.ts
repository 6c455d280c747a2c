import type { DeviceId, LayerWindow } from '@hearth/halda'
import { afterEach, describe, expect, it } from 'vitest'
import { createReferenceBackend } from '../backend/reference.ts'
import type { ChatEvent, ChatMessage, DeviceStatus, ModelChoice, RoomView } from '../protocol.ts'
import { parseControlMessage } from '../protocol.ts'
import { createMemoryLinks } from '../ring/memory-link.ts'
import { createMemoryCatalogue } from '../store/memory-catalogue.ts'
import { createMemoryStore } from '../store/memory-store.ts'
import { createInlineReader } from '../store/shard-reader.ts'
import { createRangeServer, type RangeServer } from '../testing/range-server.ts'
import { tinyModel } from '../testing/tiny-model.ts'
import { encodeActivation } from '../wire.ts'
import { createDevice, type Device } from './device.ts'
import { inspectModel, type ModelPlace } from './open-model.ts'

const nLayers = 6
const alice = 'alice-device' as DeviceId
const bob = 'bob-device' as DeviceId
const charlie = 'charlie-device' as DeviceId
const question: ChatMessage[] = [{ role: 'user', content: 'the hearth' }]
const greedy = { maxTokens: 12, temperature: 0, topP: 1, seed: 0 }

type Member = {
  device: Device
  place: ModelPlace
  status: DeviceStatus
  memoryBytes(): number
  events: ChatEvent[]
  fetchedBytes: number
}

let server: RangeServer | undefined
afterEach(async () => {
  await server?.close()
  server = undefined
})

/** Devices in one process: real links, real store, real HTTP for the weights; the test plays the signal server. */
async function createHousehold(ids: DeviceId[], memoryBudgetBytes = 2 ** 30, dtype: 'f32' | 'f16' = 'f32') {
  server ??= await createRangeServer(tinyModel({ nLayers, seed: 3 }))
  const members = new Map<DeviceId, Member>()
  let view: Omit<RoomView, 'devices'> = { choice: null, numbered: null, noPlan: null, planning: false }
  const present = new Set(ids)
  const publish = () => {
    const devices = [...members].map(([device, { status }]) => ({
      device,
      name: device.split('-')[0]!,
      presence: present.has(device) ? ('here' as const) : ('away' as const),
      profile: null,
      status,
    }))
    for (const { device } of members.values()) queueMicrotask(() => device.follow({ ...view, devices }))
  }
  const joined = async (me: DeviceId): Promise<Member> => {
    const backend = await createReferenceBackend()
    const member: Member = {
      events: [],
      memoryBytes: backend.memoryBytes,
      status: { phase: 'idle' },
      fetchedBytes: 0,
      place: {
        shelf: members.get(me)?.place.shelf ?? {
          store: createMemoryStore(),
          catalogue: createMemoryCatalogue(),
        },
        packing: backend.packing,
        origin: new URL(server!.url).origin,
        onfetched: (bytes) => (member.fetchedBytes += bytes),
      },
      device: undefined as never,
    }
    member.device = createDevice({
      me,
      dtype,
      backend,
      place: member.place,
      reader: createInlineReader(member.place.shelf.store),
      memoryBudgetBytes,
      onstatus(status) {
        member.status = status
        publish()
      },
      sendControl(to, message) {
        const arrived = parseControlMessage(JSON.stringify(message))!
        queueMicrotask(() => members.get(to)?.device.receiveControl(me, arrived))
      },
      onchat: (event) => member.events.push(event),
      onholding: () => {},
    })
    members.set(me, member)
    return member
  }
  const connect = (a: DeviceId, b: DeviceId) => {
    const [toB, toA] = createMemoryLinks(() => new Promise((resolve) => setTimeout(resolve)))
    members.get(a)!.device.addLink(b, toB)
    members.get(b)!.device.addLink(a, toA)
  }
  for (const id of ids) await joined(id)
  for (const [i, a] of ids.entries()) for (const b of ids.slice(i + 1)) connect(a, b)

  const choice: ModelChoice = await inspectModel(server.url, members.get(ids[0]!)!.place)
  return {
    members,
    present,
    choice,
    publish,
    member: (id: DeviceId) => members.get(id)!,
    plan(number: number, head: DeviceId, shares: [DeviceId, number][]) {
      let firstLayer = 0
      const windows = shares.map(([device, layers]): LayerWindow => {
        const window = { device, firstLayer, layers, gpuLayers: 0 }
        firstLayer += layers
        return window
      })
      view = {
        choice,
        numbered: { number, plan: { head, rounds: 1, windows, predictedTpotMs: 1 } },
        noPlan: null,
        planning: false,
      }
      publish()
    },
    noPlan() {
      view = { choice, numbered: null, noPlan: 'The devices offer too little memory.', planning: false }
      publish()
    },
    /** The device starts anew with what it had stored, as a reloaded tab does. */
    async reload(id: DeviceId) {
      members.get(id)!.device.close()
      await joined(id)
      for (const other of ids) if (other !== id) connect(id, other)
      publish()
    },
    async ready(...devices: DeviceId[]) {
      await until(() => devices.every((id) => members.get(id)!.status.phase === 'ready'))
    },
    async ask(id: DeviceId, messages = question, chat = 'chat-0001', options = greedy) {
      const { device, events } = members.get(id)!
      const from = events.length
      device.ask({ type: 'generate', chat, messages, options })
      const ended = () =>
        events
          .slice(from)
          .find(({ type, chat: of }) => of === chat && (type === 'done' || type === 'chat-failed'))
      await until(() => ended() !== undefined)
      const text = events
        .slice(from)
        .map((event) => (event.type === 'token' && event.chat === chat ? event.text : ''))
      return { text: text.join(''), end: ended()! }
    },
  }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** What one device alone answers: the judge of every ring. */
async function alone(messages = question) {
  const house = await createHousehold([alice])
  house.plan(1, alice, [[alice, nLayers]])
  await house.ready(alice)
  return house.ask(alice, messages)
}

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

  describe('with several conversations at once', () => {
    const questions = ['the hearth', 'a fox and a goose', 'in the evening', 'seven and five is'].map(
      (content, i) => ({
        chat: `chat-000${i}`,
        messages: [{ role: 'user' as const, content }],
        options: { maxTokens: 10 + 3 * i, temperature: i % 2, topP: 0.9, seed: i },
      }),
    )
    type House = Awaited<ReturnType<typeof createHousehold>>
    const askAll = (house: House, from: (i: number) => DeviceId, moreTokens = 0) =>
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
      const heldBack = house
        .member(alice)
        .events.filter((event) => event.type === 'queued' && event.ahead > 0)
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

  it('fails an answer with the name of the device that left in the middle', async () => {
    const house = await createHousehold([alice, bob, charlie])
    house.plan(1, alice, [
      [bob, 3],
      [alice, 3],
    ])
    await house.ready(alice, bob, charlie)
    const answer = house.ask(charlie, question, 'chat-0001', { ...greedy, maxTokens: 100 })
    await until(() => house.member(charlie).events.some(({ type }) => type === 'token'))
    house.member(bob).device.close()
    const { end } = await answer
    expect(end).toMatchObject({
      type: 'chat-failed',
      code: 'device-left',
      message: expect.stringContaining('bob'),
    })
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
    server!.behaviour.headers['ETag'] = '"v2"'
    house.plan(1, alice, [[alice, nLayers]])
    await until(() => house.member(alice).status.phase === 'failed')
    expect(house.member(alice).status).toMatchObject({ code: 'model-changed' })
    server!.behaviour.headers['ETag'] = '"v1"'
    house.plan(2, alice, [[alice, nLayers]])
    await house.ready(alice)
    expect((await house.ask(alice)).text).toBe((await alone()).text)
  })

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
      server = await createRangeServer(
        tinyModel({ nLayers, seed: 3, ffnDim: 32, vocabSize: 560, tiedOutput: tied }),
      )
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
