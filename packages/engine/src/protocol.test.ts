import { describe, expect, it } from 'vitest'
import { createPrng } from './model/prng.ts'
import { maxMessageChars, parseControlMessage, parseFromDevice, parseFromServer } from './protocol.ts'

const stats = {
  ttftMs: 5,
  tpotMs: 2,
  tripMs: 3,
  promptTokens: 3,
  cachedTokens: 0,
  outputTokens: 7,
  draftedTokens: 6,
  acceptedTokens: 2,
  stop: 'end',
}
const device = 'alice-device'
const profile = {
  device,
  memoryBytes: 1e9,
  weightBytesPerSec: { Q8_0: 4e9 },
  diskReadBytesPerSec: 1e9,
  hopMs: { 'bob-device': 2.5 },
  defaultHopMs: 5,
  hops: { 'bob-device': { rowMs: 2.5, rowP90Ms: 4, chunkMs: 6, chunkP90Ms: 9, lateShare: 0.1 } },
  prefillBytesPerSec: { Q8_0: 4e10 },
  layerFixedMs: 0.02,
  kvAppendMs: 0.001,
  headFixedMs: 0.1,
  kvReadBytesPerSec: 4e9,
  diskWriteBytesPerSec: 5e8,
  diskMeasured: 'warm',
  slowdown: { factor: 1.5, reasons: ['hidden', 'heat'] },
  measuredAtMs: 1.7e12,
  gpu: {
    memoryBytes: 1e9,
    weightBytesPerSec: { Q8_0: 8e10 },
    prefillBytesPerSec: { Q8_0: 8e11 },
    copyMs: 0.5,
  },
}
const choice = {
  model: { name: 'demo', url: '/models/demo.gguf', sizeBytes: 100, revision: '"1"' },
  profile: {
    name: 'demo',
    nLayers: 1,
    dim: 8,
    layerBytes: [{ Q8_0: 10 }],
    outputBytes: {},
    embeddingBytes: 10,
    tiedOutput: true,
    kvBytesPerPosition: 4,
    contextLength: 64,
  },
  request: { split: 'fastest' },
}
const numbered = {
  number: 1,
  plan: {
    head: device,
    rounds: 1,
    windows: [{ device, firstLayer: 0, layers: 1, gpuLayers: 0 }],
    predictedTpotMs: 3,
  },
}
const room = {
  devices: [{ device, name: 'Alice', presence: 'here', profile, status: { phase: 'ready', plan: 1 } }],
  choice,
  numbered,
  noPlan: null,
  planning: false,
}
const options = { maxTokens: 10, temperature: 0, topP: 1, seed: 0 }
const chat = 'chat-0001'

const door = { keyHash: 'A'.repeat(43), isOpen: true }
const question = 'question-0001'

const families = [
  {
    of: 'a device to the server',
    parse: parseFromDevice,
    messages: [
      {
        type: 'join',
        version: 1,
        room: 'kitchen-0123456789abcdef',
        device,
        name: 'Alice',
        mayOpen: true,
        door,
        memory: { choice, numbered },
        profile,
        status: { phase: 'loading', plan: 1, loadedBytes: 1, totalBytes: 2 },
      },
      { type: 'choose', choice },
      { type: 'signal', to: device, sealed: 'AAAA' },
      { type: 'answer', question, text: ' word' },
      { type: 'answer-done', question, stats },
    ],
  },
  {
    of: 'the server to a device',
    parse: parseFromServer,
    messages: [
      { type: 'room', room },
      { type: 'question', question, messages: [{ role: 'user', content: 'Hello' }], options, stop: ['\n'] },
      { type: 'refused', code: 'no-room', message: 'This link leads to no room.' },
    ],
  },
  {
    of: 'a device to a device',
    parse: parseControlMessage,
    messages: [
      { type: 'generate', chat, messages: [{ role: 'user', content: 'Hello' }], options },
      {
        type: 'generate',
        chat,
        messages: [{ role: 'user', content: 'Hello' }],
        options,
        begun: { prompt: [1, 2], said: [3] },
      },
      { type: 'begun', chat, prompt: [1, 2] },
      { type: 'token', chat, text: ' word', id: 3 },
      { type: 'done', chat, stats },
      { type: 'session-failed', session: 3, code: 'kv-lost', message: 'It is gone.' },
      { type: 'pong', sentAtMs: 12.25 },
      { type: 'hop-times', times: profile.hops['bob-device'] },
    ],
  },
]

const odd: unknown[] = [
  null,
  -1,
  1e308,
  0.5,
  '',
  'x'.repeat(3000),
  [],
  {},
  true,
  '__proto__',
  Array.from({ length: 40 }, () => 0),
]

/** The value with one place in it, at any depth, replaced, removed or renamed. */
function mutated(value: unknown, random: () => number): unknown {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  if (typeof value !== 'object' || value === null || random() < 0.15) return pick(odd)
  if (Array.isArray(value)) {
    const copy: unknown[] = [...value]
    const at = Math.floor(random() * copy.length)
    if (random() < 0.2) copy.push(pick(odd))
    else copy[at] = mutated(copy[at], random)
    return copy
  }
  const entries = Object.entries(value)
  const at = Math.floor(random() * entries.length)
  const [key, inner] = entries[at] ?? ['nothing', null]
  const how = random()
  if (how < 0.15) entries.splice(at, 1)
  else if (how < 0.25) entries[at] = [`${key}2`, inner]
  else entries[at] = [key, mutated(inner, random)]
  return Object.fromEntries(entries)
}

describe.each(families)('messages from $of', ({ parse, messages }) => {
  it('arrive as they were sent', () => {
    for (const message of messages) expect(parse(JSON.stringify(message))).toEqual(message)
  })

  it('lose fields that nobody knows', () => {
    for (const message of messages)
      expect(parse(JSON.stringify({ ...message, surprise: 1 }))).toEqual(message)
  })

  it('are read again as what they were read as, or not at all, whatever was done to them', () => {
    const random = createPrng(11)
    let refused = 0
    for (let i = 0; i < 3000; i++) {
      const text = JSON.stringify(mutated(messages[i % messages.length], random))
      const message = parse(text)
      if (message === null) refused++
      else expect(parse(JSON.stringify(message)), text.slice(0, 300)).toEqual(message)
    }
    expect(refused).toBeGreaterThan(1500)
    expect(refused).toBeLessThan(3000)
  })

  it('are nothing when cut anywhere', () => {
    for (const message of messages) {
      const text = JSON.stringify(message)
      for (let length = 0; length < text.length; length++) expect(parse(text.slice(0, length))).toBeNull()
    }
  })

  it('are nothing when they are not text, or too much of it', () => {
    for (const other of [undefined, null, 7, {}, new ArrayBuffer(8), '[]', '"generate"', '{}'])
      expect(parse(other)).toBeNull()
    const [message] = messages
    expect(parse(JSON.stringify({ ...message, padding: 'x'.repeat(maxMessageChars) }))).toBeNull()
  })
})

it('a sentence that is too long is cut, because without it nobody would know what happened', () => {
  const message = 'A very long address. '.repeat(200)
  const parsed = parseControlMessage(JSON.stringify({ type: 'chat-failed', chat, code: 'bug', message }))
  expect(parsed).toMatchObject({ message: message.slice(0, 2000) })
})
