import type { DeviceId } from '@hearth/halda'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { EngineError } from '../errors.ts'
import type { ChatEvent, ChatRequest } from '../protocol.ts'
import type { AnswerEvent } from './messages.ts'
import { createOwnQuestions } from './own-questions.ts'
import type { RingState } from './ring-state.ts'

const alice = 'alice-device' as DeviceId
const bob = 'bob-device' as DeviceId
const chat = 'chat-0001'
const request: ChatRequest = {
  type: 'generate',
  chat,
  messages: [{ role: 'user', content: 'the hearth' }],
  options: { maxTokens: 10, temperature: 0, topP: 1, seed: 0 },
}
const whole: RingState = {
  model: 'demo',
  head: alice,
  isHopeless: false,
  gone: [],
  away: [],
  news: 'plan 1, all ready',
}
const broken: RingState = { ...whole, head: null, gone: ['bob'], away: [bob], news: 'plan 1, bob is away' }
const left = new EngineError('device-left', 'bob is gone in the middle of the answer.')
const token = (id: number, text: string): ChatEvent => ({ type: 'token', chat, text, id })

function ask() {
  const heard: AnswerEvent[] = []
  const sent: { head: DeviceId; request: ChatRequest }[] = []
  const missed: DeviceId[] = []
  let ring = whole
  const questions = createOwnQuestions({
    onchat: (event) => heard.push(event),
    send: (head, request) => sent.push({ head, request }),
    ring: () => ring,
    onmissed: (device) => missed.push(device),
  })
  questions.ask(alice, request)
  return {
    questions,
    heard,
    sent,
    missed,
    from: (head: DeviceId, ...events: ChatEvent[]) => {
      for (const event of events) questions.deliver(head, event)
    },
    becomes(next: RingState) {
      ring = next
      questions.look()
    },
  }
}

describe('a question of this device', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  it('is asked again behind the tokens that are out, once the ring is whole', () => {
    const { from, becomes, heard, sent, missed } = ask()
    from(alice, { type: 'begun', chat, prompt: [1, 2] }, token(7, 'Once'), token(8, ''))
    from(alice, { type: 'chat-failed', chat, code: 'link-lost', message: 'The connection closed.' })
    becomes(broken)
    expect(missed).toEqual([bob])
    becomes({ ...whole, head: bob, news: 'plan 2, all ready' })
    expect(sent[1]).toEqual({ head: bob, request: { ...request, begun: { prompt: [1, 2], said: [7, 8] } } })
    expect(heard).toEqual([
      token(7, 'Once'),
      { type: 'paused', chat, message: 'Laying the ring again …' },
      { type: 'paused', chat, message: 'bob left; laying the ring again …' },
    ])
  })

  it('is not asked again by a ring that looks as it did when it broke', () => {
    const { questions, becomes, sent } = ask()
    questions.interrupt(left)
    becomes(whole)
    expect(sent).toHaveLength(1)
  })

  it('hears of the first head no more once the second was asked', () => {
    const { questions, from, becomes, heard } = ask()
    questions.interrupt(left, alice)
    from(alice, token(7, 'late'))
    becomes({ ...whole, head: bob, news: 'plan 2, all ready' })
    from(alice, token(7, 'late'), { type: 'chat-failed', chat, code: 'bug', message: 'late' })
    from(bob, token(7, 'Once'))
    expect(heard.slice(1)).toEqual([token(7, 'Once')])
  })

  it('is not disturbed when another device than its head goes', () => {
    const { questions, heard } = ask()
    questions.interrupt(left, bob)
    expect(heard).toEqual([])
  })

  it('ends with the reason when nothing is heard of a ring for half a minute', () => {
    const { questions, becomes, heard } = ask()
    questions.interrupt(left)
    vi.advanceTimersByTime(29_000)
    becomes(broken)
    vi.advanceTimersByTime(29_000)
    expect(heard.map(({ type }) => type)).toEqual(['paused', 'paused'])
    vi.advanceTimersByTime(1000)
    expect(heard.at(-1)).toEqual({ type: 'chat-failed', chat, code: left.code, message: left.message })
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each([
    ['no ring is to come', { ...broken, isHopeless: true }],
    ['the room runs another model', { ...whole, model: 'another', news: 'another' }],
  ])('ends at once when %s', (_, next) => {
    const { questions, becomes, heard } = ask()
    questions.interrupt(left)
    becomes(next)
    expect(heard.at(-1)).toMatchObject({ type: 'chat-failed', code: 'device-left' })
  })

  it('ends at once when it was stopped before the ring broke', () => {
    const { questions, heard, sent } = ask()
    questions.ask(alice, { type: 'abort', chat })
    expect(sent[1]).toEqual({ head: alice, request: { type: 'abort', chat } })
    questions.interrupt(left)
    expect(heard).toEqual([expect.objectContaining({ type: 'chat-failed', code: 'aborted' })])
  })

  it('counts the time to the first token from when a person asked', () => {
    const { questions, from, becomes, heard } = ask()
    vi.advanceTimersByTime(100)
    from(alice, { type: 'begun', chat, prompt: [1] }, token(7, 'Once'))
    questions.interrupt(left)
    vi.advanceTimersByTime(8000)
    becomes({ ...whole, news: 'plan 2, all ready' })
    const stats = {
      ttftMs: 3,
      tpotMs: 2,
      promptTokens: 1,
      cachedTokens: 0,
      tripMs: 1,
      outputTokens: 2,
      draftedTokens: 0,
      acceptedTokens: 0,
      stop: 'end',
    } as const
    from(alice, token(8, ' more'), { type: 'done', chat, stats })
    expect(heard.at(-1)).toEqual({ type: 'done', chat, stats: { ...stats, ttftMs: 100 } })
  })
})
