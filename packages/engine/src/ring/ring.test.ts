import type { DeviceId } from '@hearth/halda'
import { describe, expect, it } from 'vitest'
import type { Activation } from '../protocol.ts'
import { argmax, dim, evenPlan, naive, prompt, toyHead, toyLayers, toyRing } from '../testing/toy-ring.ts'
import { generate } from './generate.ts'
import { joinRing, type Ring } from './ring.ts'
import { createVolleys, type Volleys } from './volleys.ts'

type AnswerOptions = {
  cached?: number[]
  abortAfter?: number
  chunkRows?: number
  session?: number
  volleys?: Volleys
}

async function answer(ring: Ring, tokens: number[], maxTokens: number, options: AnswerOptions = {}) {
  const { cached = [], abortAfter, chunkRows = ring.chunkRows, session = 5 } = options
  const { volleys = createVolleys({ ...ring, chunkRows }, toyHead) } = options
  const aborter = new AbortController()
  const out: number[] = []
  const loop = generate({
    volleys,
    session,
    prompt: tokens,
    cached,
    sample: argmax,
    isEnd: () => false,
    maxTokens,
    contextLength: 1000,
    signal: aborter.signal,
  })
  for await (const token of loop) {
    out.push(token)
    if (out.length === abortAfter) aborter.abort()
  }
  return out
}

const rowsOf = (group: readonly Activation[]) => group.reduce((sum, { rows }) => sum + rows, 0)

describe('a ring says what one naive loop says', () => {
  const expected = naive(prompt, 12)
  for (const n of [1, 2, 3, 4]) {
    for (const rounds of [1, 2, 3, 4, 5]) {
      for (const chunkRows of [1, 3, 64]) {
        it(`${n} devices, ${rounds} rounds, chunks of ${chunkRows}`, async () => {
          const { ring } = toyRing(n, rounds)
          expect(await answer(ring, prompt, 12, { chunkRows })).toEqual(expected)
        })
      }
    }
  }

  it('with f16 frames, whose values the toy model keeps exact', async () => {
    expect(await answer(toyRing(3, 2, 'f16').ring, prompt, 12)).toEqual(expected)
  })

  it('when the head runs no layers at all', async () => {
    const { ring } = toyRing(3, 1, 'f32', ([alice, bob, charlie]) => ({
      head: charlie!,
      rounds: 1,
      windows: [
        { device: alice!, firstLayer: 0, layers: 5, gpuLayers: 0 },
        { device: bob!, firstLayer: 5, layers: 7, gpuLayers: 0 },
      ],
      predictedTpotMs: 0,
    }))
    expect(await answer(ring, prompt, 12)).toEqual(expected)
  })

  it('after an answer that was stopped midway on the same session', async () => {
    const { ring } = toyRing(3, 2)
    const cached: number[] = []
    await answer(ring, [...prompt.slice(0, 4), 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8], 30, {
      cached,
      abortAfter: 9,
    })
    expect(await answer(ring, prompt, 12, { cached })).toEqual(expected)
  })

  it('in a second turn, which runs only what is new', async () => {
    const { ring, hops } = toyRing(2, 1)
    const cached: number[] = []
    const first = await answer(ring, prompt, 5, { cached })
    const second = [...prompt, ...first, 7, 7]
    const before = hops()
    expect(await answer(ring, second, 1, { cached, chunkRows: 1 })).toEqual(naive(second, 1))
    // The fifth token was sampled but never run: three rows to run, two hops each.
    expect(hops() - before).toBe(3 * 2)
  })
})

it('a chunk has the rows that fit a frame, and 128 on a device alone, which sends none', () => {
  const chunkRows = (...devices: DeviceId[]) =>
    joinRing({
      me: devices[0]!,
      numbered: { number: 1, plan: evenPlan(devices, 1) },
      dim: 2048,
      dtype: 'f32',
      layers: toyLayers(),
      linkTo: () => undefined,
      onfailed: () => {},
    }).chunkRows
  const [alice, bob] = ['alice-device', 'bob-device'] as DeviceId[]
  expect(chunkRows(alice!, bob!)).toBe(31)
  expect(chunkRows(alice!)).toBe(128)
})

describe('chunks that pile up', () => {
  it('run as one where a device is slower than the one before it, and say the same', async () => {
    const steps: number[] = []
    const { ring } = toyRing(3, 2, 'f32', undefined, (layers, i) => ({
      ...layers,
      async run(group, count) {
        if (i === 1) {
          steps.push(rowsOf(group))
          await new Promise((resolve) => setTimeout(resolve, 15))
        }
        return layers.run(group, count)
      },
    }))
    const long = Array.from({ length: 40 }, (_, i) => (i * 7) % 50)
    expect(await answer(ring, long, 3, { chunkRows: 2 })).toEqual(naive(long, 3))
    expect(Math.max(...steps)).toBeGreaterThan(2)
  })
})

describe('a device that reads its weights for each step', () => {
  /** Steps of the middle device, which wants so many rows at once. */
  function hungryRing(gatherRows: number) {
    const steps: number[] = []
    const { ring } = toyRing(3, 2, 'f32', undefined, (layers, i) =>
      i !== 1
        ? layers
        : {
            ...layers,
            gatherRows: () => gatherRows,
            run(group, count) {
              steps.push(rowsOf(group))
              return layers.run(group, count)
            },
          },
    )
    return { ring, steps }
  }
  const long = Array.from({ length: 40 }, (_, i) => (i * 7) % 50)

  it('waits for the rows that it wants, and for no more than there are', async () => {
    for (const wanted of [10, 40, 500]) {
      const { ring, steps } = hungryRing(wanted)
      expect(await answer(ring, long, 3, { chunkRows: 2 })).toEqual(naive(long, 3))
      const ofPrompt = steps.filter((rows) => rows > 1)
      expect(ofPrompt.length).toBeLessThanOrEqual(2 * Math.ceil(40 / wanted))
      expect(steps.filter((rows) => rows === 1)).toHaveLength(2 * 2)
    }
  })

  it('is not left waiting when a prompt is given up', async () => {
    const { ring, steps } = hungryRing(500)
    const aborter = new AbortController()
    const given = { ...ring, chunkRows: 2 }
    let passes = 0
    given.pass = (rows) => {
      if (++passes === 3) aborter.abort()
      return ring.pass(rows)
    }
    const tokens = generate({
      volleys: createVolleys(given, toyHead),
      session: 9,
      prompt: long,
      cached: [],
      sample: argmax,
      isEnd: () => false,
      maxTokens: 5,
      contextLength: 1000,
      signal: aborter.signal,
    })
    expect(await tokens.next()).toEqual({ done: true, value: 'aborted' })
    // Two rows were sent, two more were ready to go, and then it ended.
    expect(steps).toEqual([8, 8])
    expect(await answer(ring, prompt, 3)).toEqual(naive(prompt, 3))
  })
})

describe('hops', () => {
  for (const [n, rounds] of [
    [1, 1],
    [2, 1],
    [3, 1],
    [3, 4],
    [4, 3],
  ] as const) {
    it(`a token makes n·k hops: ${n} devices, ${rounds} rounds`, async () => {
      const { ring, hops } = toyRing(n, rounds)
      const cached: number[] = []
      await answer(ring, prompt, 1, { cached })
      const before = hops()
      // The last token of the prompt runs again, and three of the four sampled ones.
      await answer(ring, prompt, 4, { cached })
      expect((hops() - before) / 4).toBe(n === 1 ? 0 : n * rounds)
    })
  }
})

describe('what goes wrong', () => {
  it('a cache lost on one device fails the session with kv-lost, and a fresh start answers', async () => {
    const { ring } = toyRing(3, 1)
    const cached = prompt.slice(0, 6)
    await expect(answer(ring, prompt, 3, { cached })).rejects.toMatchObject({ code: 'kv-lost' })
    expect(await answer(ring, prompt, 3)).toEqual(naive(prompt, 3))
  })

  it('a link that closes midway fails the answer with link-lost', async () => {
    const { ring, links, devices } = toyRing(3, 1)
    const running = answer(ring, prompt, 500)
    setTimeout(() => links.get(`${devices[0]}>${devices[1]}`)!.close(), 5)
    await expect(running).rejects.toMatchObject({ code: 'link-lost' })
  })

  it('frames from a stranger, of another plan, or for a layer that begins no window are dropped', async () => {
    const { rings, devices } = toyRing(3, 1)
    const bob = rings.get(devices[1]!)!
    const { encodeActivation } = await import('../wire.ts')
    const frame = (fields: object) =>
      encodeActivation(
        { plan: 1, session: 1, position: 0, layer: 4, rows: 1, hidden: new Float32Array(dim), ...fields },
        'f32',
      )
    bob.receive(devices[2]!, frame({}))
    bob.receive(devices[0]!, frame({ plan: 2 }))
    bob.receive(devices[0]!, frame({ layer: 5 }))
    bob.receive(devices[0]!, frame({ layer: 12 }))
    bob.receive(devices[0]!, new Uint8Array(40))
    expect(bob.droppedFrames).toBe(5)
  })
})
