import { describe, expect, it } from 'vitest'
import {
  fromText,
  isRunning,
  messagesFor,
  newConversation,
  toText,
  turnAfter,
  type Turn,
} from './conversation.ts'

const stats = {
  ttftMs: 400,
  tripMs: 30,
  tpotMs: 30,
  promptTokens: 9,
  cachedTokens: 0,
  outputTokens: 19,
  draftedTokens: 0,
  acceptedTokens: 0,
  stop: 'end',
} as const
const chat = 'alice-chat-1'
const asked: Turn = { question: 'Hello', answer: '', status: { is: 'queued', ahead: null } }
const done: Turn = { question: 'Hello', answer: 'Hi!', status: { is: 'done', stats } }

describe('an answer', () => {
  it('waits its turn, streams, and ends with its figures', () => {
    const waiting = turnAfter(asked, { type: 'queued', chat, ahead: 2 })
    expect(waiting.status).toEqual({ is: 'queued', ahead: 2 })
    const begun = turnAfter(waiting, { type: 'token', chat, text: 'Hi' })
    const more = turnAfter(begun, { type: 'token', chat, text: '!' })
    expect(more).toEqual({ question: 'Hello', answer: 'Hi!', status: { is: 'streaming' } })
    expect(turnAfter(more, { type: 'done', chat, stats })).toEqual(done)
  })

  it('that waits for a ring is still running, and streams again behind the words it had', () => {
    const begun = turnAfter(asked, { type: 'token', chat, text: 'Once' })
    const message = 'bob left; laying the ring again …'
    const paused = turnAfter(begun, { type: 'paused', chat, message })
    expect(paused).toEqual({ ...begun, status: { is: 'paused', message } })
    expect(isRunning(paused)).toBe(true)
    expect(turnAfter(paused, { type: 'queued', chat, ahead: 0 })).toEqual(begun)
  })

  it('that fails keeps the words it had', () => {
    const begun = turnAfter(asked, { type: 'token', chat, text: 'Once' })
    const failed = turnAfter(begun, {
      type: 'chat-failed',
      chat,
      code: 'link-lost',
      message: 'Bob left.',
    })
    expect(failed).toEqual({
      question: 'Hello',
      answer: 'Once',
      status: { is: 'failed', message: 'Bob left.' },
    })
    expect(isRunning(failed)).toBe(false)
  })
})

describe('what the model is shown', () => {
  it('is every answered turn and the question at hand', () => {
    expect(messagesFor([done, { ...done, status: { is: 'stopped' } }], 'Why?')).toEqual([
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hi!' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hi!' },
      { role: 'user', content: 'Why?' },
    ])
  })

  it('leaves out a turn without an answer, so that the roles alternate', () => {
    const failed: Turn = { question: 'Lost', answer: '', status: { is: 'failed', message: 'Bob left.' } }
    expect(messagesFor([failed, done], 'Why?').map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
  })
})

describe('a conversation between visits', () => {
  it('comes back as it was', () => {
    const conversation = { chat, turns: [done] }
    expect(fromText(toText(conversation))).toEqual(conversation)
  })

  it('comes back with an answer that was under way as one that stopped', () => {
    const streaming: Turn = { ...done, status: { is: 'streaming' } }
    expect(fromText(toText({ chat, turns: [streaming] }))?.turns[0]?.status).toEqual({ is: 'stopped' })
  })

  it('is forgotten rather than believed when it does not read', () => {
    const broken = [
      null,
      '',
      '{',
      'null',
      '[]',
      '{"chat":"a b","turns":[]}',
      '{"chat":"alice-chat-1","turns":[{"question":1}]}',
      '{"chat":"alice-chat-1","turns":[{"question":"a","answer":"b","status":{"is":"done"}}]}',
    ]
    expect(broken.map(fromText)).toEqual(broken.map(() => null))
  })

  it('starts under a name that the protocol takes, new each time', () => {
    const [first, second] = [newConversation(), newConversation()]
    expect(first.chat).toMatch(/^[A-Za-z0-9_-]{8,64}$/)
    expect(first.chat).not.toBe(second.chat)
  })
})
