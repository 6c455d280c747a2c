import { describe, expect, it } from 'vitest'
import { EngineError } from '../errors.ts'
import type { Head, Layers } from '../model/layers.ts'
import { createSampler } from '../model/sampler.ts'
import type { Activation } from '../protocol.ts'
import { naive, toyHead, toyRing } from '../testing/toy-ring.ts'
import { generate, type StopReason } from './generate.ts'
import type { Ring } from './ring.ts'
import { createVolleys, type Volleys } from './volleys.ts'

const promptOf = (seed: number) =>
  Array.from({ length: 3 + ((seed * 7) % 40) }, (_, i) => (i * seed + 3) % 50)
const samplerOf = (seed: number) => createSampler({ temperature: seed % 2, topP: 0.9, seed })

type Asked = { seed: number; count: number; signal?: AbortSignal; heard?: (tokens: number[]) => void }

async function ask(volleys: Volleys, { seed, count, signal, heard }: Asked) {
  const tokens: number[] = []
  const loop = generate({
    volleys,
    session: seed,
    prompt: promptOf(seed),
    cached: [],
    sample: samplerOf(seed),
    isEnd: () => false,
    maxTokens: count,
    contextLength: 1000,
    signal: signal ?? new AbortController().signal,
  })
  let next = await loop.next()
  for (; !next.done; next = await loop.next()) {
    tokens.push(next.value)
    heard?.(tokens)
  }
  return { tokens, stop: next.value satisfies StopReason }
}

const expected = ({ seed, count }: Asked) => naive(promptOf(seed), count, samplerOf(seed))

/** The devices named read their weights for each step; `sessions` are those of every step of theirs. */
function readingRing(n: number, rounds: number, reading: readonly number[], lose?: LoseCache) {
  const steps: number[][] = []
  const ring = toyRing(n, rounds, 'f32', undefined, (layers, device): Layers => ({
    ...layers,
    gatherRows: () => (reading.includes(device) ? Infinity : 1),
    run(group, count) {
      if (reading.includes(device)) steps.push(group.map(({ session }) => session))
      for (const a of group) if (lose?.(a, device)) layers.release(a.session)
      return layers.run(group, count)
    },
  }))
  return { ...ring, steps, volleys: createVolleys(ring.ring, toyHead) }
}
type LoseCache = (a: Activation, device: number) => boolean

describe('conversations that are answered together say what they say alone', () => {
  const conversations = [1, 2, 3, 4, 5, 6].map((seed) => ({ seed, count: 4 + ((seed * 5) % 9) }))
  for (const n of [1, 2, 3]) {
    for (const rounds of [1, 3]) {
      for (const reading of [[], [0], [n - 1], [0, 1, 2]]) {
        it(`${n} devices, ${rounds} rounds, ${reading.length === 0 ? 'none' : reading} reading`, async () => {
          const { volleys } = readingRing(n, rounds, reading)
          const answers = conversations.map(async (asked, i) => {
            await new Promise((resolve) => setTimeout(resolve, i * 3))
            return ask(volleys, asked)
          })
          for (const [i, { tokens, stop }] of (await Promise.all(answers)).entries()) {
            expect(tokens).toEqual(expected(conversations[i]!))
            expect(stop).toBe('length')
          }
        })
      }
    }
  }
})

describe('where a device reads weights for each step', () => {
  it('one step serves all conversations', async () => {
    const { volleys, steps } = readingRing(3, 2, [1])
    // What is read is known from the first answer on.
    await ask(volleys, { seed: 9, count: 1 })
    steps.length = 0
    const all = [1, 2, 3, 4].map((seed) => ({ seed, count: 10 }))
    const answers = await Promise.all(all.map((asked) => ask(volleys, asked)))
    expect(answers.map(({ tokens }) => tokens)).toEqual(all.map(expected))
    // A question that came a moment before the others goes alone.
    expect(steps.length).toBeLessThanOrEqual(2 * (10 + 1))
  })

  it('tells what the head took for each token of a conversation that is alone', async () => {
    const { ring } = readingRing(2, 1, [])
    const slowHead: Head = {
      ...toyHead,
      async embed(tokens) {
        await new Promise((resolve) => setTimeout(resolve, 5))
        return toyHead.embed(tokens)
      },
    }
    const heard: number[] = []
    await ask(
      createVolleys(ring, slowHead, (ms) => heard.push(ms)),
      { seed: 1, count: 6 },
    )
    // Between six tokens; what the ring takes is left out, and so is the prompt.
    expect(heard).toHaveLength(5)
    for (const ms of heard) expect(ms).toBeGreaterThanOrEqual(4)
  })

  it('tells how long each token of a conversation that is alone was in no layer', async () => {
    const { ring } = readingRing(3, 1, [])
    const slowRing: Ring = {
      ...ring,
      pass(rows) {
        const { sent, passed } = ring.pass(rows)
        // Behind the layers, which may take long on a busy machine.
        const late = passed.then(async (answer) => {
          await new Promise((resolve) => setTimeout(resolve, 8))
          return answer
        })
        return { sent, passed: late }
      },
    }
    const heard: number[] = []
    const onway = (ms: number) => heard.push(ms)
    await ask(createVolleys(slowRing, toyHead, undefined, onway), { seed: 1, count: 6 })
    expect(heard).toHaveLength(5)
    for (const ms of heard) expect(ms).toBeGreaterThanOrEqual(7)
  })

  it('no conversation waits for one that has ended, was stopped, or was stopped while it waited', async () => {
    const { volleys } = readingRing(3, 1, [1])
    const stopped = new AbortController()
    const waiting = new AbortController()
    const first = ask(volleys, { seed: 1, count: 12 })
    const second = ask(volleys, {
      seed: 2,
      count: 500,
      signal: stopped.signal,
      heard: ({ length }) => length === 5 && stopped.abort(),
    })
    const third = ask(volleys, { seed: 3, count: 500, signal: waiting.signal })
    waiting.abort()
    expect((await third).stop).toBe('aborted')
    expect((await second).stop).toBe('aborted')
    expect((await first).tokens).toEqual(expected({ seed: 1, count: 12 }))
  })

  // Whoever runs frames one by one may have given on the first of a volley when the last is lost.
  for (const [name, reading] of [
    ['the one behind it', [2]],
    ['itself and the one behind it', [1, 2]],
    ['all', [0, 1, 2]],
  ] as const) {
    for (const lost of [1, 2, 3]) {
      it(`conversation ${lost} of 3 loses its cache on the way, and the others go on (reading: ${name})`, async () => {
        const lose: LoseCache = (a, device) => device === 1 && a.session === lost && a.position > 60
        const { volleys } = readingRing(3, 2, reading, lose)
        const all = [1, 2, 3].map((seed) => ({ seed, count: 70 }))
        const answers = await Promise.allSettled(all.map((asked) => ask(volleys, asked)))
        for (const [i, answer] of answers.entries()) {
          if (i + 1 === lost) expect(answer).toMatchObject({ reason: { code: 'kv-lost' } })
          else expect(answer).toMatchObject({ value: { tokens: expected(all[i]!) } })
        }
      })
    }
  }

  it('a ring that breaks ends them all, and questions asked afterwards are answered', async () => {
    const { volleys, links, devices } = readingRing(3, 1, [0, 1, 2])
    const answers = [1, 2, 3].map((seed) => ask(volleys, { seed, count: 500 }))
    setTimeout(() => links.get(`${devices[0]}>${devices[1]}`)!.close(), 20)
    for (const answer of await Promise.allSettled(answers))
      expect(answer).toMatchObject({ reason: { code: 'link-lost' } })
  })

  it('an embedding that cannot be read fails its conversation alone', async () => {
    const { ring } = readingRing(3, 1, [1])
    let reads = 0
    const head: Head = {
      ...toyHead,
      async embed(tokens) {
        if (tokens.includes(49) && ++reads > 0) throw new EngineError('shard-corrupt', 'a bad sector')
        return toyHead.embed(tokens)
      },
    }
    const volleys = createVolleys(ring, head)
    const seeds = Array.from({ length: 12 }, (_, i) => i + 1)
    const isBad = (seed: number) => [...promptOf(seed), ...expected({ seed, count: 3 })].includes(49)
    const answers = await Promise.allSettled(seeds.map((seed) => ask(volleys, { seed, count: 4 })))
    expect(reads).toBeGreaterThan(0)
    expect(seeds.some((seed) => !isBad(seed))).toBe(true)
    for (const [i, answer] of answers.entries()) {
      const seed = seeds[i]!
      if (isBad(seed)) expect(answer).toMatchObject({ reason: { code: 'shard-corrupt' } })
      else expect(answer).toMatchObject({ value: { tokens: expected({ seed, count: 4 }) } })
    }
  })
})
