import { maxCarried, type FromDevice, type QuestionId } from '@hearth/engine/protocol'
import { describe, expect, it } from 'vitest'
import type { ConnectionId } from './room-state.ts'
import { attic, createHouse, keyHashOf } from './test-house.ts'

const stats = {
  ttftMs: 5,
  tpotMs: 2,
  tripMs: 2,
  promptTokens: 3,
  cachedTokens: 0,
  outputTokens: 7,
  draftedTokens: 0,
  acceptedTokens: 0,
  stop: 'end' as const,
}
const open = { keyHash: keyHashOf('kitchen'), isOpen: true }

/** A house whose devices of these names let programs in, and a way to see what each is asked. */
function withDoors(...names: string[]) {
  const house = createHouse()
  const connections = names.map((name) => house.join(name, { door: open }))
  /** Of the questions that it was given, those that it was not told to stop. */
  const carries = (connection: ConnectionId): QuestionId[] => {
    const inbox = house.inbox(connection)
    const stopped = new Set(inbox.flatMap((each) => (each.type === 'question-stop' ? [each.question] : [])))
    return inbox.flatMap((each) =>
      each.type === 'question' && !stopped.has(each.question) ? [each.question] : [],
    )
  }
  const say = (connection: ConnectionId, question: QuestionId, text: string) =>
    house.say(connection, { type: 'answer', question, text })
  return { house, connections, carries, say }
}

describe('a question of a program', () => {
  it('goes to the device whose door is open, as it was asked, and its answer comes back', () => {
    const { house, connections, say } = withDoors('alice')
    const [alice] = connections
    house.join('bob')
    const question = house.ask('one', 'What is 7 + 5?')
    expect(house.inbox(alice!).at(-1)).toEqual({
      type: 'question',
      question,
      messages: [{ role: 'user', content: 'What is 7 + 5?' }],
      options: { maxTokens: 10, temperature: 0, topP: 1, seed: 0 },
      stop: [],
    })
    say(alice!, question, '')
    say(alice!, question, '7 plus 5')
    house.say(alice!, { type: 'answer-done', question, stats })
    say(alice!, question, ' too late')
    expect(house.told(question)).toEqual([
      { type: 'text', text: '' },
      { type: 'text', text: '7 plus 5' },
      { type: 'done', stats },
    ])
  })

  it('fails with a sentence where no door is open, and where the only one is away', () => {
    const { house, connections } = withDoors('alice')
    house.join('bob')
    house.close(connections[0]!)
    expect(house.told(house.ask('one'))).toMatchObject([{ type: 'failed', code: 'no-door' }])
  })

  it('fails in a room that is gone', () => {
    const house = createHouse()
    expect(house.told(house.ask('one'))).toMatchObject([{ type: 'failed', code: 'no-door' }])
    expect(house.count()).toEqual({ rooms: 0, devices: 0 })
  })

  it('takes the door through which the fewest go, until all are full', () => {
    const { house, connections, carries } = withDoors('alice', 'bob')
    const questions = Array.from({ length: 2 * maxCarried }, (_, n) => house.ask(`number-${n}`))
    for (const connection of connections) expect(carries(connection)).toHaveLength(maxCarried)
    expect(house.told(house.ask('one-more'))).toMatchObject([{ type: 'failed', code: 'busy' }])
    const [first] = questions
    house.say(connections[0]!, { type: 'answer-done', question: first!, stats })
    const again = house.ask('again')
    expect(carries(connections[0]!)).toContain(again)
  })

  it('stops being answered when the program hangs up', () => {
    const { house, connections, carries, say } = withDoors('alice')
    const question = house.ask('one')
    house.hangUp(question)
    expect(carries(connections[0]!)).toEqual([])
    say(connections[0]!, question, 'nobody hears this')
    expect(house.told(question)).toEqual([])
  })

  it('is answered by nobody but its carrier', () => {
    const { house, say } = withDoors('alice')
    const bob = house.join('bob', { door: open })
    const question = house.ask('one')
    say(bob, question, 'forged')
    house.say(bob, { type: 'answer-failed', question, code: 'bug', message: 'forged' })
    expect(house.told(question)).toEqual([])
  })
})

describe('when the carrier of a question leaves', () => {
  const leavings: Record<string, (house: ReturnType<typeof createHouse>, alice: ConnectionId) => void> = {
    'by its socket': (house, alice) => house.close(alice),
    'on purpose': (house, alice) => house.say(alice, { type: 'leave' }),
    'by closing its door': (house, alice) => house.say(alice, { type: 'door', isOpen: false }),
  }
  for (const [how, leave] of Object.entries(leavings)) {
    it(`${how}, another carries it if no word is out, else it fails`, () => {
      const { house, connections, carries, say } = withDoors('alice', 'bob')
      const [alice, bob] = connections
      const silent = house.ask('silent')
      const other = house.ask('other')
      const begun = house.ask('begun')
      expect(carries(alice!)).toEqual([silent, begun])
      say(alice!, silent, '')
      say(alice!, begun, 'Once upon')
      leave(house, alice!)
      expect(carries(bob!)).toEqual([other, silent])
      expect(house.told(begun).slice(1)).toMatchObject([{ type: 'failed', code: 'carrier-left' }])
      say(bob!, silent, 'Hello')
      expect(house.told(silent)).toEqual([
        { type: 'text', text: '' },
        { type: 'text', text: 'Hello' },
      ])
    })
  }

  it('it fails where nobody else lets programs in, and when the last device left', () => {
    const { house, connections } = withDoors('alice')
    const question = house.ask('one')
    house.say(connections[0]!, { type: 'leave' })
    expect(house.told(question)).toMatchObject([{ type: 'failed', code: 'carrier-left' }])
    expect(house.count().rooms).toBe(0)
  })

  it('and is back at once on another connection, that one knows only what it is given anew', () => {
    const { house, say, carries, connections } = withDoors('alice')
    const silent = house.ask('silent')
    const begun = house.ask('begun')
    say(connections[0]!, begun, 'Once')
    const again = house.join('alice', { door: open })
    expect(house.closeCode(connections[0]!)).toBe(4001)
    say(again, begun, ' upon')
    expect(house.told(begun).slice(1)).toMatchObject([{ type: 'failed', code: 'carrier-left' }])
    expect(carries(again)).toEqual([silent])
  })
})

describe('a carrier that falls silent', () => {
  it('is given two minutes from its last word', () => {
    const { house, connections, carries, say } = withDoors('alice')
    const question = house.ask('one')
    house.pass(119_000)
    say(connections[0]!, question, '')
    house.pass(119_999)
    expect(house.told(question)).toEqual([{ type: 'text', text: '' }])
    house.pass(1)
    expect(house.told(question).slice(1)).toMatchObject([{ type: 'failed', code: 'silent' }])
    expect(carries(connections[0]!)).toEqual([])
    expect(house.wakeAtMs()).toBeNull()
  })
})

describe('the key of a room', () => {
  it('leads to its room, whether or not a door is open, and no other key does', () => {
    const house = createHouse()
    const alice = house.join('alice')
    const secret = { keyHash: keyHashOf('attic'), isOpen: true }
    house.join('bob', { room: attic, door: secret })
    expect(house.find(keyHashOf('kitchen'))).toMatchObject({ hasDoor: false })
    house.say(alice, { type: 'door', isOpen: true })
    expect(house.find(keyHashOf('kitchen'))).toMatchObject({ hasDoor: true, choice: null })
    expect(house.find(keyHashOf('attic'))).toMatchObject({ room: attic, hasDoor: true })
    expect(house.find(keyHashOf('cellar'))).toBeNull()
    expect(house.find('')).toBeNull()
  })

  it('does not lead in by the door of a device with another key', () => {
    const house = createHouse()
    house.join('alice')
    house.join('bob', { door: { keyHash: keyHashOf('attic'), isOpen: true } })
    expect(house.find(keyHashOf('kitchen'))).toMatchObject({ hasDoor: false })
  })

  it('is shown to no device', () => {
    const house = createHouse()
    const alice = house.join('alice', { door: open })
    expect(JSON.stringify(house.view(alice))).not.toContain(open.keyHash)
  })
})

it('answers of a device without a room are no messages', () => {
  const house = createHouse()
  const stranger = house.open()
  const answer: FromDevice = { type: 'answer', question: 'question-one' as QuestionId, text: 'Hello' }
  for (let i = 0; i < 3; i++) house.say(stranger, answer)
  expect(house.refusal(stranger)).toMatchObject({ code: 'malformed' })
})
