import { afterEach, describe, expect, it, vi } from 'vitest'
import { EngineError } from '../errors.ts'
import type { FromDevice, GenerateStats, QuestionId } from '../protocol.ts'
import type { Cluster } from './cluster.ts'
import { createDoor, type FromProgram } from './door.ts'

const stats: GenerateStats = {
  ttftMs: 5,
  tpotMs: 2,
  tripMs: 2,
  promptTokens: 3,
  cachedTokens: 1,
  outputTokens: 4,
  draftedTokens: 0,
  acceptedTokens: 0,
  stop: 'length',
}
const question = (id: string, stop: string[] = []): FromProgram => ({
  type: 'question',
  question: id as QuestionId,
  messages: [{ role: 'user', content: 'Hello' }],
  options: { maxTokens: 10, temperature: 0, topP: 1, seed: 0 },
  stop,
})

/** A device whose room says these words, and then what `end` throws, or its figures; each word when `next` is called. */
function createHouse(words: string[], end: () => void = () => {}) {
  const sent: FromDevice[] = []
  const chats: string[] = []
  const waiting: (() => void)[] = []
  const generate: Cluster['generate'] = async function* (chat, _messages, _options, signal) {
    chats.push(chat)
    let wake = () => {}
    signal?.addEventListener('abort', () => wake())
    for (const text of words) {
      if (!signal?.aborted) await new Promise<void>((resolve) => waiting.push((wake = resolve)))
      if (signal?.aborted) return yield { type: 'done', chat, stats: { ...stats, stop: 'aborted' } }
      yield { type: 'token', chat, text }
    }
    end()
    yield { type: 'done', chat, stats }
  }
  const door = createDoor({ generate, send: (message) => sent.push(message) })
  const settle = () => new Promise((resolve) => setTimeout(resolve))
  return {
    door,
    sent,
    chats,
    async next(times = 1) {
      for (let i = 0; i < times; i++) {
        await settle()
        waiting.shift()?.()
      }
      await settle()
    },
    text: () => sent.map((message) => (message.type === 'answer' ? message.text : '')).join(''),
    last: () => sent.at(-1),
  }
}

afterEach(() => vi.useRealTimers())

describe('a door that is open', () => {
  it('gives the first word at once, all of them in the end, and then the figures', async () => {
    const { door, sent, next, text, last } = createHouse(['The ', 'fox ', 'ran', '.'])
    door.receive(question('question-1'), true)
    await next()
    expect(sent).toEqual([{ type: 'answer', question: 'question-1', text: 'The ' }])
    await next(3)
    expect(text()).toBe('The fox ran.')
    expect(last()).toEqual({ type: 'answer-done', question: 'question-1', stats })
  })

  it('sends words that come faster than 20 times a second together', async () => {
    const { door, sent, next, text } = createHouse(Array.from({ length: 200 }, (_, n) => `${n} `))
    const startedAtMs = performance.now()
    door.receive(question('question-1'), true)
    await next(200)
    const elapsedMs = performance.now() - startedAtMs
    expect(text().split(' ')).toHaveLength(201)
    expect(sent.length).toBeLessThanOrEqual(elapsedMs / 50 + 3)
  })

  it('ends an answer at a stop text as if it had ended by itself, and lets the ring rest', async () => {
    const { door, next, text, last } = createHouse(['one', ' tw', 'o th', 'ree', ' four'])
    door.receive(question('question-1', ['two']), true)
    // The rest is never computed.
    await next(3)
    expect(text()).toBe('one ')
    expect(last()).toEqual({
      type: 'answer-done',
      question: 'question-1',
      stats: { ...stats, stop: 'end' },
    })
  })

  it('says what was held back, and why an answer broke off', async () => {
    const { door, next, text, last } = createHouse(['one', ' tw'], () => {
      throw new EngineError('device-left', 'bob is gone.')
    })
    door.receive(question('question-1', ['two']), true)
    await next(2)
    expect(text()).toBe('one tw')
    expect(last()).toEqual({
      type: 'answer-failed',
      question: 'question-1',
      code: 'device-left',
      message: 'bob is gone.',
    })
  })

  it('says every 15 s that it is still at it, as long as it is', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const { door, sent, next } = createHouse(['one'])
    door.receive(question('question-1'), true)
    vi.advanceTimersByTime(30_000)
    const sign = { type: 'answer', question: 'question-1', text: '' }
    expect(sent).toEqual([sign, sign])
    await next()
    const length = sent.length
    vi.advanceTimersByTime(60_000)
    expect(sent).toHaveLength(length)
  })

  it('stops one answer without the other, and all when nobody hears them', async () => {
    const { door, sent, next } = createHouse(['one', 'two'])
    for (const id of ['question-1', 'question-2', 'question-3']) door.receive(question(id), true)
    door.receive({ type: 'question-stop', question: 'question-2' as QuestionId }, true)
    await next(0)
    const ended = () => sent.flatMap((message) => (message.type === 'answer-done' ? [message.question] : []))
    expect(ended()).toEqual(['question-2'])
    door.hangUp()
    await next(0)
    expect(ended().sort()).toEqual(['question-1', 'question-2', 'question-3'])
  })

  it('gives a conversation that goes on alone the slot that it had, and others their own', async () => {
    const { door, chats, next } = createHouse(['one'])
    door.receive(question('question-1'), true)
    await next()
    door.receive(question('question-2'), true)
    door.receive(question('question-3'), true)
    await next(2)
    expect(chats).toEqual(['program-1', 'program-1', 'program-2'])
  })
})

describe('a door that is closed', () => {
  it('asks nobody', async () => {
    const { door, chats, last, next } = createHouse(['one'])
    door.receive(question('question-1'), false)
    await next()
    expect(chats).toEqual([])
    expect(last()).toMatchObject({ type: 'answer-failed', question: 'question-1', code: 'not-ready' })
  })
})
