import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { maxCarried, type FromServer } from '@hearth/engine/protocol'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startServer, type RunningServer } from './server.ts'
import { connect } from './test-device.ts'
import { choiceOf, keyHashOf, keyOf } from './test-house.ts'

let webRoot: string
let server: RunningServer

beforeAll(async () => {
  webRoot = await mkdtemp(join(tmpdir(), 'hearth-api-'))
  await writeFile(join(webRoot, 'index.html'), '<!doctype html><title>Hearth</title>')
})
beforeEach(async () => {
  server = await startServer({ port: 0, host: '127.0.0.1', webRoot, modelsDirs: [] })
})
afterEach(() => server.close())
afterAll(() => rm(webRoot, { recursive: true }))

const messages = [{ role: 'user', content: 'What is 7 + 5?' }]
const stats = {
  ttftMs: 5,
  tpotMs: 2,
  tripMs: 2,
  promptTokens: 9,
  cachedTokens: 4,
  outputTokens: 6,
  draftedTokens: 0,
  acceptedTokens: 0,
  stop: 'end' as const,
}
const open = { keyHash: keyHashOf('kitchen'), isOpen: true }

type Device = ReturnType<typeof connect>
type Question = Extract<FromServer, { type: 'question' }>

/** A device that lets programs in, in a room that runs demo. */
async function openDoor(name = 'alice'): Promise<Device> {
  const device = connect(server, { name, door: open })
  await device.untilView(() => true)
  device.say({ type: 'choose', choice: choiceOf('demo') })
  await device.untilView(({ choice }) => choice !== null)
  return device
}

function post(
  body: unknown,
  { key = keyOf('kitchen'), signal }: { key?: string; signal?: AbortSignal } = {},
) {
  return fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(signal && { signal }),
  })
}

const get = (path: string, key = keyOf('kitchen')) =>
  fetch(`${server.url}/v1${path}`, { headers: { Authorization: `Bearer ${key}` } })

const nthQuestion = (device: Device, n = 1): Promise<Question> => {
  const seen = new Set<Question>()
  return device.until((message) => {
    if (message.type === 'question') seen.add(message)
    return seen.size === n && message.type === 'question' && message
  })
}
const isStopped = (device: Device, { question }: Question): Promise<boolean> =>
  device.until((message) => message.type === 'question-stop' && message.question === question)

/** What a stream's lines of data say, '[DONE]' included. */
async function dataOf(response: Response): Promise<unknown[]> {
  const events = (await response.text()).split('\n\n').filter((event) => event.startsWith('data: '))
  return events.map((event) => {
    const data = event.slice('data: '.length)
    return data === '[DONE]' ? data : JSON.parse(data)
  })
}

describe('a program that asks', () => {
  it('gets the answer whole, in the shape of a chat completion', async () => {
    const alice = await openDoor()
    const asked = post({ model: 'demo', messages, temperature: 0, max_tokens: 20, stop: '\n' })
    const question = await nthQuestion(alice)
    expect(question).toMatchObject({
      messages,
      options: { maxTokens: 20, temperature: 0, topP: 1 },
      stop: ['\n'],
    })
    for (const text of ['', '7 plus 5 ', 'is 12.']) {
      alice.say({ type: 'answer', question: question.question, text })
    }
    alice.say({ type: 'answer-done', question: question.question, stats })
    const response = await asked
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({
      id: `chatcmpl-${question.question}`,
      object: 'chat.completion',
      created: expect.closeTo(Date.now() / 1000, -2) as number,
      model: 'demo',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: '7 plus 5 is 12.', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: 9,
        completion_tokens: 6,
        total_tokens: 15,
        prompt_tokens_details: { cached_tokens: 4 },
      },
    })
  })

  it('gets it as it comes, in the shape of chunks', async () => {
    const alice = await openDoor()
    const asked = post({ messages, stream: true, stream_options: { include_usage: true } })
    const { question } = await nthQuestion(alice)
    alice.say({ type: 'answer', question, text: 'Twelve' })
    const response = await asked
    expect(response.headers.get('Content-Type')).toBe('text/event-stream')
    alice.say({ type: 'answer', question, text: '' })
    alice.say({ type: 'answer', question, text: '.' })
    alice.say({ type: 'answer-done', question, stats: { ...stats, stop: 'length' } })
    const [first, ...rest] = await dataOf(response)
    const chunk = (delta: object, finish_reason: string | null = null) => ({
      id: `chatcmpl-${question}`,
      object: 'chat.completion.chunk',
      created: expect.any(Number) as number,
      model: 'demo',
      choices: [{ index: 0, delta, logprobs: null, finish_reason }],
      usage: null,
    })
    expect(first).toEqual(chunk({ role: 'assistant', content: '' }))
    expect(rest).toEqual([
      chunk({ content: 'Twelve' }),
      chunk({ content: '.' }),
      chunk({}, 'length'),
      {
        ...chunk({}),
        choices: [],
        usage: {
          prompt_tokens: 9,
          completion_tokens: 6,
          total_tokens: 15,
          prompt_tokens_details: { cached_tokens: 4 },
        },
      },
      '[DONE]',
    ])
  })

  it('hears that its answer is still awaited, in lines that clients skip', async () => {
    const alice = await openDoor()
    const asked = post({ messages, stream: true })
    const { question } = await nthQuestion(alice)
    alice.say({ type: 'answer', question, text: '' })
    const response = await asked
    alice.say({ type: 'answer-done', question, stats })
    const [first, sign] = (await response.text()).split('\n\n')
    expect(first).toContain('"role":"assistant"')
    expect(sign).toMatch(/^: /)
  })

  it('gets no usage in chunks that it did not ask it of', async () => {
    const alice = await openDoor()
    const asked = post({ messages, stream: true })
    const { question } = await nthQuestion(alice)
    alice.say({ type: 'answer-done', question, stats })
    const data = await dataOf(await asked)
    expect(data).toHaveLength(3)
    for (const each of data.slice(0, -1)) expect(each).not.toHaveProperty('usage')
  })

  it.each([true, false])('and hangs up ends the answer on the device (streams: %s)', async (streams) => {
    const alice = await openDoor()
    const program = new AbortController()
    const asked = post({ messages, stream: streams }, { signal: program.signal })
    const ended = expect(asked.then((response) => response.text())).rejects.toThrow()
    const question = await nthQuestion(alice)
    alice.say({ type: 'answer', question: question.question, text: 'Twelve' })
    if (streams) await asked
    program.abort()
    await ended
    expect(await isStopped(alice, question)).toBe(true)
  })
})

describe('when the answer breaks off', () => {
  it.each([
    ['context-full', 400],
    ['not-ready', 503],
    ['bug', 500],
  ] as const)('before a word is out, the status says so (%s: %i)', async (code, status) => {
    const alice = await openDoor()
    const asked = post({ messages, stream: true })
    const { question } = await nthQuestion(alice)
    alice.say({ type: 'answer-failed', question, code, message: `It is ${code}.` })
    const response = await asked
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ error: { message: `It is ${code}.` } })
  })

  it('behind the first word, the stream says so and ends without [DONE]', async () => {
    const alice = await openDoor()
    const asked = post({ messages, stream: true })
    const { question } = await nthQuestion(alice)
    alice.say({ type: 'answer', question, text: 'Twel' })
    const response = await asked
    alice.socket.terminate()
    const data = await dataOf(response)
    expect(data).toHaveLength(3)
    expect(data[2]).toEqual({
      error: {
        message: expect.stringContaining('is gone. Ask again.') as string,
        type: 'server_error',
        param: null,
        code: 'service_unavailable',
      },
    })
  })

  it('because its carrier left, another device answers if no word was out', async () => {
    const alice = await openDoor()
    const asked = post({ messages })
    await nthQuestion(alice)
    const bob = await openDoor('bob')
    alice.socket.terminate()
    const { question } = await nthQuestion(bob)
    bob.say({ type: 'answer', question, text: 'Twelve.' })
    bob.say({ type: 'answer-done', question, stats })
    expect(await (await asked).json()).toMatchObject({ choices: [{ message: { content: 'Twelve.' } }] })
  })

  it('because the server closes, the program is told', async () => {
    const alice = await openDoor()
    const asked = post({ messages })
    await nthQuestion(alice)
    const response = asked.then(({ status }) => status).catch(() => 'closed')
    await server.close()
    expect([503, 'closed']).toContain(await response)
    server = await startServer({ port: 0, host: '127.0.0.1', webRoot, modelsDirs: [] })
  })
})

describe('a program is refused', () => {
  const errorOf = async (response: Response) => ({
    status: response.status,
    ...((await response.json()) as { error: { message: string; type: string; code: string | null } }).error,
  })

  it('without a key, with a wrong one, and with that of another room', async () => {
    await openDoor()
    const noKey = await fetch(`${server.url}/v1/models`)
    expect(await errorOf(noKey)).toMatchObject({ status: 401, code: 'invalid_api_key' })
    for (const key of ['hearth-wrong', keyOf('attic'), keyHashOf('kitchen')]) {
      const error = await errorOf(await post({ messages }, { key }))
      expect(error).toMatchObject({ status: 401, code: 'invalid_api_key', type: 'invalid_request_error' })
      expect(await errorOf(await get('/models', key))).toMatchObject({ status: 401 })
    }
  })

  it('until a person opens a door, and when it is closed again', async () => {
    const alice = await openDoor()
    expect((await get('/models')).status).toBe(200)
    alice.say({ type: 'door', isOpen: false })
    await expect.poll(async () => (await get('/models')).status).toBe(503)
    const error = await errorOf(await post({ messages }))
    expect(error).toMatchObject({ status: 503, code: 'service_unavailable' })
    expect(error.message).toContain('open Settings')
  })

  it('while the room runs no model', async () => {
    const alice = connect(server, { name: 'alice', door: open })
    await alice.untilView(() => true)
    expect(await (await get('/models')).json()).toEqual({ object: 'list', data: [] })
    expect(await errorOf(await post({ messages }))).toMatchObject({ status: 503 })
  })

  it('with what cannot be read, what is not supported, and what is too long', async () => {
    await openDoor()
    expect(await errorOf(await post('{'))).toMatchObject({ status: 400 })
    expect(await errorOf(await post({ messages, n: 2 }))).toMatchObject({ status: 400, param: 'n' })
    const long = [{ role: 'user', content: 'x'.repeat(262_144) }]
    const error = await errorOf(await post({ messages: long }))
    expect(error).toMatchObject({ status: 413, code: 'context_length_exceeded' })
    expect(await errorOf(await get('/embeddings'))).toMatchObject({ status: 404 })
  })

  it('when as many ask as the room answers at once', async () => {
    const alice = await openDoor()
    const asking = Array.from({ length: maxCarried }, () => post({ messages }))
    await nthQuestion(alice, maxCarried)
    expect(await errorOf(await post({ messages }))).toMatchObject({
      status: 429,
      code: 'rate_limit_exceeded',
    })
    alice.socket.terminate()
    for (const each of asking) expect((await each).status).toBe(503)
  })
})

it('the model that runs is listed', async () => {
  await openDoor()
  const model = { id: 'demo', object: 'model', created: expect.any(Number) as number, owned_by: 'hearth' }
  expect(await (await get('/models')).json()).toEqual({ object: 'list', data: [model] })
  expect(await (await get('/models/demo')).json()).toEqual(model)
  expect((await get('/models/other')).status).toBe(404)
})

it('pages of other sites are told nothing that would let them in', async () => {
  await openDoor()
  const preflight = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'OPTIONS',
    headers: {
      Origin: 'https://elsewhere.example',
      'Access-Control-Request-Method': 'POST',
      'Access-Control-Request-Headers': 'authorization,content-type',
    },
  })
  expect(preflight.ok).toBe(false)
  expect([...preflight.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
})
