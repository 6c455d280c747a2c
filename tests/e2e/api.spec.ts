/**
 * Programs of the house: real HTTP, real tabs, and the words that a page would have got.
 */
import { expect, test, type Page } from '@playwright/test'
import { endless, openEndlessRoom, ready, stateOf, type EndlessRoom } from './endless-room.ts'

// Starting browsers takes a busy machine its time.
test.describe.configure({ timeout: 120_000 })

let room: EndlessRoom
// Of another plan, f16 may make other words.
test.beforeAll(async () => (room = await openEndlessRoom('f32')))
test.afterAll(() => room?.close())

type Chunk = {
  choices: { delta: { role?: string; content?: string }; finish_reason: string | null }[]
  usage?: { prompt_tokens: number; completion_tokens: number } | null
  error?: { message: string; code: string | null }
}
type Completion = {
  model: string
  choices: { message: { content: string }; finish_reason: string }[]
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number }
}

const hearthMessages = [{ role: 'user' as const, content: 'the hearth' }]
const foxMessages = [{ role: 'user' as const, content: 'Tell me a story about a fox' }]

const doorOf = async (page: Page) => (await stateOf(page)).door
const setDoor = (page: Page, isOpen: boolean) => page.evaluate((open) => window.hearth.setDoor(open), isOpen)

async function ask(body: object, signal?: AbortSignal): Promise<Response> {
  const { baseUrl, key } = await doorOf(room.alice)
  return fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ temperature: 0, ...body }),
    ...(signal && { signal }),
  })
}

/** What its status is, once programs are let in or not: a switch takes a moment to reach the server. */
async function statusBecomes(status: number): Promise<void> {
  const { baseUrl, key } = await doorOf(room.alice)
  const models = () => fetch(`${baseUrl}/models`, { headers: { Authorization: `Bearer ${key}` } })
  await expect.poll(async () => (await models()).status, { timeout: 15_000 }).toBe(status)
}

/** The data of a stream as it comes. */
async function* chunksOf(response: Response): AsyncGenerator<Chunk | '[DONE]'> {
  let text = ''
  for await (const bytes of response.body!.pipeThrough(new TextDecoderStream())) {
    text += bytes
    const events = text.split('\n\n')
    text = events.pop()!
    for (const event of events) {
      if (event.startsWith(':')) continue
      const data = event.replace(/^data: /, '')
      yield data === '[DONE]' ? data : (JSON.parse(data) as Chunk)
    }
  }
}

test('nobody is let in until a person opens a door, and with no other key', async () => {
  await room.cluster.choose('demo')
  const { baseUrl, key, isOpen } = await doorOf(room.alice)
  expect(isOpen).toBe(false)
  expect((await doorOf(room.bob)).key).toBe(key)
  const closed = await ask({ messages: foxMessages })
  expect(closed.status).toBe(503)
  expect(await closed.json()).toMatchObject({
    error: { message: expect.stringContaining('open Settings'), type: 'server_error' },
  })

  await room.alice.getByRole('button', { name: 'Settings' }).click()
  await room.alice.getByRole('checkbox', { name: 'Let programs ask' }).check()
  await expect(room.alice.getByText(`curl ${baseUrl}/chat/completions`)).toBeVisible()
  await expect(room.alice.getByText(key!, { exact: true })).toBeVisible()
  await room.alice.getByRole('button', { name: 'Close' }).click()
  await statusBecomes(200)
  const stranger = await fetch(`${baseUrl}/models`, { headers: { Authorization: 'Bearer hearth-wrong' } })
  expect(stranger.status).toBe(401)
  expect(await stranger.json()).toMatchObject({ error: { code: 'invalid_api_key' } })
})

test('a program gets the words that a page gets, whole and as they come', async () => {
  const onPage = await room.cluster.chat(1, 'asked-on-a-page', foxMessages, { maxTokens: 40 })
  const whole = (await (
    await ask({ model: 'demo-q8_0', messages: foxMessages, max_tokens: 40 })
  ).json()) as Completion
  expect(whole.model).toBe('demo-q8_0')
  expect(whole.choices[0]!.message.content).toBe(onPage.text)
  expect(whole.choices[0]!.finish_reason).toBe(onPage.stats.stop === 'length' ? 'length' : 'stop')
  const { promptTokens, outputTokens } = onPage.stats
  expect(whole.usage).toMatchObject({
    prompt_tokens: promptTokens,
    completion_tokens: outputTokens,
    total_tokens: promptTokens + outputTokens,
  })

  const response = await ask({
    messages: foxMessages,
    max_tokens: 40,
    stream: true,
    stream_options: { include_usage: true },
  })
  const chunks: (Chunk | '[DONE]')[] = []
  for await (const chunk of chunksOf(response)) chunks.push(chunk)
  expect(chunks.pop()).toBe('[DONE]')
  const seen = chunks as Chunk[]
  expect(seen[0]!.choices[0]!.delta).toEqual({ role: 'assistant', content: '' })
  expect(seen.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(onPage.text)
  expect(seen.at(-1)!.usage).toMatchObject({ completion_tokens: outputTokens })
})

test('stop texts end an answer where they say, and a conversation goes on', async () => {
  const { text } = await room.cluster.chat(1, 'asked-to-stop', foxMessages, { maxTokens: 40 })
  const stop = text.split(' ')[4]!
  const request = { messages: foxMessages, max_tokens: 40, stop: [stop] }
  const cut = (await (await ask(request)).json()) as Completion
  expect(cut.choices[0]).toMatchObject({
    message: { content: text.slice(0, text.indexOf(stop)) },
    finish_reason: 'stop',
  })
  const turns = [
    ...foxMessages,
    { role: 'assistant' as const, content: text },
    { role: 'user' as const, content: 'What is 7 + 5?' },
  ]
  const onPage = await room.cluster.chat(1, 'a-second-turn', turns, { maxTokens: 40 })
  const again = (await (await ask({ messages: turns, max_tokens: 40 })).json()) as Completion
  expect(again.choices[0]!.message.content).toBe(onPage.text)
})

test('programs that hang up stop the ring: a device that was asked too much in vain can still be asked', async () => {
  await room.cluster.choose(endless)
  // Four answers that nobody hears would keep a head from taking more of the device that asked.
  for (let i = 0; i < 6; i++) {
    const program = new AbortController()
    let response = await ask({ messages: hearthMessages, stream: true }, program.signal)
    // That the last one hung up may be on its way to the server still.
    while (response.status === 429)
      response = await ask({ messages: hearthMessages, stream: true }, program.signal)
    expect(response.status).toBe(200)
    let text = ''
    for await (const chunk of chunksOf(response)) {
      text += (chunk as Chunk).choices[0]!.delta.content ?? ''
      if (text !== '') break
    }
    expect(room.expected.startsWith(text.slice(0, room.expected.length))).toBe(true)
    program.abort()
  }
  const last = await ask({ messages: hearthMessages, max_tokens: 40 })
  expect(((await last.json()) as Completion).choices[0]).toMatchObject({
    message: { content: room.expected },
    finish_reason: 'length',
  })
})

test('when the device that carries an answer closes, the stream says so, and another door stays open', async () => {
  const { third } = await room.places()
  for (const page of room.cluster.pages) await setDoor(page, page === third)
  await statusBecomes(200)
  const response = await ask({ messages: hearthMessages, stream: true })
  const chunks = chunksOf(response)
  let words = 0
  for (; words < 5; words++) await chunks.next()
  const stays = room.cluster.pages.find((page) => page !== third)!
  await setDoor(stays, true)
  const door = await doorOf(stays)
  await third.close()
  let last: Chunk | '[DONE]' | undefined
  for await (const chunk of chunks) last = chunk
  expect(last).toMatchObject({ error: { message: expect.stringContaining('is gone. Ask again.') } })

  await ready(stays)
  const again = await fetch(`${door.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${door.key}` },
    body: JSON.stringify({ messages: hearthMessages, max_tokens: 40, temperature: 0 }),
  })
  expect(((await again.json()) as Completion).choices[0]!.message.content).toBe(room.expected)
})
