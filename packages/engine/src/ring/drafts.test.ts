import { describe, expect, it } from 'vitest'
import type { Logits } from '../model/logits.ts'
import { argmax, naive, prompt, toyHead, toyRing } from '../testing/toy-ring.ts'
import { generate, noDrafts } from './generate.ts'
import { createVolleys } from './volleys.ts'

describe('guesses behind a token', () => {
  const words = naive(prompt, 12)

  for (const [n, rounds] of [
    [1, 1],
    [2, 1],
    [3, 3],
  ] as const) {
    it(`right, wrong and partly right, say what is said without them: ${n} devices, ${rounds} rounds`, async () => {
      const { ring } = toyRing(n, rounds)
      const cached: number[] = []
      let asked = 0
      const sample = (logits: Logits) => (asked++, logits.argmax())
      const { signal } = new AbortController()
      const voice = createVolleys(ring, toyHead).join({ session: 1, cached, sample, signal })
      expect(await voice.next(prompt)).toEqual([words[0]])
      // All of three come true: four tokens in one trip.
      expect(await voice.next([words[0]!], words.slice(1, 4))).toEqual(words.slice(1, 5))
      expect(cached).toEqual([...prompt, ...words.slice(0, 4)])
      // None does, the third does not, and one that is right behind a wrong one counts for nothing.
      const wrong = (token: number) => (token + 1) % 50
      expect(await voice.next([words[4]!], [wrong(words[5]!), words[6]!])).toEqual([words[5]])
      expect(await voice.next([words[5]!], [words[6]!, words[7]!, wrong(words[8]!)])).toEqual(
        words.slice(6, 9),
      )
      expect(cached).toEqual([...prompt, ...words.slice(0, 8)])
      expect(await voice.next([words[8]!])).toEqual([words[9]])
      // One number is drawn for each token that is said, so that draws fall as they would.
      expect(asked).toBe(10)
      voice.leave()
    })
  }

  it('make no hops of their own', async () => {
    const { ring, hops } = toyRing(3, 2)
    const { signal } = new AbortController()
    const voice = createVolleys(ring, toyHead).join({ session: 1, cached: [], sample: argmax, signal })
    await voice.next(prompt)
    const before = hops()
    expect(await voice.next([words[0]!], words.slice(1, 6))).toHaveLength(6)
    expect(hops() - before).toBe(3 * 2)
    voice.leave()
  })

  it('do not go while others are being answered', async () => {
    const volleys = createVolleys(toyRing(2, 1).ring, toyHead)
    const options = { cached: [], sample: argmax, signal: new AbortController().signal }
    const first = volleys.join({ ...options, session: 1 })
    expect(first.alone()).not.toBeNull()
    const second = volleys.join({ ...options, session: 2 })
    expect(first.alone()).toBeNull()
    second.leave()
    expect(first.alone()).not.toBeNull()
  })

  it('say nothing of what a token takes on its way and at the head', async () => {
    const heard = { head: 0, way: 0 }
    const volleys = createVolleys(
      toyRing(2, 1).ring,
      toyHead,
      () => heard.head++,
      () => heard.way++,
    )
    const voice = volleys.join({
      session: 1,
      cached: [],
      sample: argmax,
      signal: new AbortController().signal,
    })
    await voice.next(prompt)
    await voice.next([words[0]!])
    expect(heard).toEqual({ head: 1, way: 1 })
    await voice.next([words[1]!], words.slice(2, 5))
    await voice.next([words[5]!])
    expect(heard).toEqual({ head: 1, way: 2 })
    voice.leave()
  })

  it('are none where a device computes on its GPU, whose kernels round several rows otherwise', () => {
    const plan = (devices: Parameters<NonNullable<Parameters<typeof toyRing>[3]>>[0]) => ({
      head: devices[0]!,
      rounds: 1,
      windows: devices.map((device, i) => ({ device, firstLayer: 6 * i, layers: 6, gpuLayers: i })),
      predictedTpotMs: 0,
    })
    expect(toyRing(2, 1, 'f16', plan).ring.mostGuesses).toBe(0)
    expect(toyRing(2, 1, 'f16').ring.mostGuesses).toBeGreaterThan(7)
  })
})

describe('an answer of which much is guessed', () => {
  /** Five words over and over, one that nobody would guess, and an end. */
  const script = Array.from({ length: 60 }, (_, i) => (i === 17 ? 30 : i === 40 ? 49 : 10 + (i % 5)))

  async function answer(maxTokens: number, contextLength: number, isGuessed: boolean) {
    const counts = noDrafts()
    const cached: number[] = []
    const tokens: number[] = []
    let drawn = 0
    const loop = generate({
      volleys: createVolleys(toyRing(3, 1).ring, toyHead),
      session: 1,
      prompt,
      cached,
      sample: () => script[drawn++]!,
      isEnd: (token) => token === 49,
      maxTokens,
      contextLength,
      signal: new AbortController().signal,
      ...(isGuessed ? { drafts: { always: true, counts } } : {}),
    })
    let next = await loop.next()
    for (; !next.done; next = await loop.next()) tokens.push(next.value)
    return { said: { tokens, stop: next.value, cached, drawn }, counts }
  }

  it('has the words that it has without, and ends where it would, wherever that is among guesses', async () => {
    const limits = [1, 2, 6, 7, 8, 9, 10, 11, 12, 13, 14, 17, 18, 19, 25, 39, 40, 41, 50].flatMap((n) => [
      [n, 1000] as const,
      [1000, prompt.length + n] as const,
    ])
    for (const [maxTokens, contextLength] of limits) {
      const { said, counts } = await answer(maxTokens, contextLength, true)
      expect(said).toEqual((await answer(maxTokens, contextLength, false)).said)
      expect(said.tokens).toEqual(script.slice(0, said.tokens.length))
      if (said.tokens.length > 12) expect(counts.accepted).toBeGreaterThan(3)
    }
    // Nothing stood before: the prompt's trip, and five of one token.
    expect((await answer(6, 1000, true)).counts).toMatchObject({ drafted: 0, singleTrips: 5 })
    // The word that nobody guessed, and the end.
    const { said, counts } = await answer(1000, 1000, true)
    expect(said).toMatchObject({ stop: 'end', drawn: 41 })
    expect(counts.accepted).toBeGreaterThan(20)
    expect(counts.accepted).toBeLessThan(counts.drafted)
    expect(counts.singleTrips).toBeLessThan(41 - counts.accepted)
  })

  it('is stopped between two words of one trip', async () => {
    const aborter = new AbortController()
    let drawn = 0
    const loop = generate({
      volleys: createVolleys(toyRing(2, 1).ring, toyHead),
      session: 1,
      prompt,
      cached: [],
      sample: () => script[drawn++]!,
      isEnd: () => false,
      maxTokens: 50,
      contextLength: 1000,
      signal: aborter.signal,
      drafts: { always: true, counts: noDrafts() },
    })
    const tokens: number[] = []
    for await (const token of loop) {
      tokens.push(token)
      // The second of several that came together.
      if (drawn > tokens.length + 2) aborter.abort()
    }
    expect(aborter.signal.aborted).toBe(true)
    expect(tokens.length).toBeLessThan(drawn - 1)
    expect(tokens).toEqual(script.slice(0, tokens.length))
  })
})
