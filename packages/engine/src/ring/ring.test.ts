import type { DeviceId, LayerWindow, Plan } from '@hearth/halda'
import { describe, expect, it } from 'vitest'
import { EngineError } from '../errors.ts'
import type { Head, Layers } from '../model/layers.ts'
import type { Dtype } from '../wire.ts'
import { generate } from './generate.ts'
import type { Link } from './link.ts'
import { createMemoryLinks } from './memory-link.ts'
import { joinRing, type Ring } from './ring.ts'

const dim = 8
const nLayers = 12
const prompt = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5]

/**
 * One layer of a toy model whose output depends on the row, the layer, and everything cached before it, in order: a
 * wrong cache, order, window or row changes the tokens. Values are multiples of 1/64 below 4, exact in f16.
 */
function toyLayer(row: Float32Array, layer: number, cache: Float32Array[], position: number): Float32Array {
  cache.length = position
  cache.push(row.slice())
  let history = 0
  for (const [i, past] of cache.entries()) history += past[(i + layer) % dim]! * ((i % 5) + 1)
  return row.map(
    (value, i) => ((Math.round(value * 64) * 5 + Math.round(history * 64) + layer * 7 + i * 3) % 256) / 64,
  )
}

const embed = (tokens: readonly number[]) =>
  Float32Array.from(
    tokens.flatMap((t) => Array.from({ length: dim }, (_, i) => ((t * 37 + i * 11) % 256) / 64)),
  )
const logits = (row: Float32Array) =>
  Float32Array.from(
    { length: 50 },
    (_, t) => (row.reduce((sum, value, i) => sum + value * ((t * (i + 3)) % 17), 0) * 64) % 101,
  )
const argmax = (values: Float32Array) => values.indexOf(Math.max(...values))
const toyHead: Head = {
  embed: async (tokens) => embed(tokens),
  logits: async (row) => logits(row),
}

/** Recomputes the whole sequence for every token: the judge. */
function naive(tokens: readonly number[], count: number): number[] {
  const sequence = [...tokens]
  for (let n = 0; n < count; n++) {
    const caches = Array.from({ length: nLayers }, () => [] as Float32Array[])
    let row = new Float32Array()
    for (const [position, token] of sequence.entries()) {
      row = embed([token]) as Float32Array<ArrayBuffer>
      for (let layer = 0; layer < nLayers; layer++)
        row = toyLayer(row, layer, caches[layer]!, position) as Float32Array<ArrayBuffer>
    }
    sequence.push(argmax(logits(row)))
  }
  return sequence.slice(tokens.length)
}

function toyLayers(): Layers {
  const sessions = new Map<string, Float32Array[]>()
  return {
    async run(a, count) {
      let hidden = a.hidden
      for (let layer = a.layer; layer < a.layer + count; layer++) {
        const key = `${a.session}:${layer}`
        const cache = sessions.get(key) ?? sessions.set(key, []).get(key)!
        if (cache.length < a.position)
          throw new EngineError('kv-lost', `layer ${layer} holds ${cache.length} of ${a.position}`)
        const rows = Array.from({ length: a.rows }, (_, r) =>
          toyLayer(hidden.subarray(r * dim, (r + 1) * dim), layer, cache, a.position + r),
        )
        hidden = Float32Array.from(rows.flatMap((row) => [...row]))
      }
      if (a.layer + count < nLayers) return { ...a, layer: a.layer + count, hidden }
      const { more: _, ...rest } = a
      const end = a.position + a.rows
      return { ...rest, layer: nLayers, rows: 1, position: end - 1, hidden: hidden.slice(-dim) }
    },
    release(session) {
      for (const key of sessions.keys())
        if (session === undefined || key.startsWith(`${session}:`)) sessions.delete(key)
    },
    kvBytes: () => 0,
    gatherRows: () => 1,
  }
}

/** Windows of an even split over `n` devices and `rounds` rounds; the last device is the head. */
function evenPlan(devices: DeviceId[], rounds: number): Plan {
  const visits = rounds * devices.length
  const windows: LayerWindow[] = []
  for (let i = 0; i < visits; i++) {
    const firstLayer = Math.floor((i * nLayers) / visits)
    const layers = Math.floor(((i + 1) * nLayers) / visits) - firstLayer
    if (layers > 0) windows.push({ device: devices[i % devices.length]!, firstLayer, layers, gpuLayers: 0 })
  }
  return { head: devices.at(-1)!, rounds, windows, predictedTpotMs: 0 }
}

/** Devices in one process, joined by links that take as long as a seeded die says. */
function toyRing(
  n: number,
  rounds: number,
  dtype: Dtype = 'f32',
  plan?: (devices: DeviceId[]) => Plan,
  wrap: (layers: Layers, device: number) => Layers = (layers) => layers,
) {
  const devices = ['alice', 'bob', 'charlie', 'dora'].slice(0, n).map((name) => `${name}-device` as DeviceId)
  let seed = 7
  const delay = () => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff
    return seed % 3 === 0 ? new Promise<void>((resolve) => setTimeout(resolve, seed % 4)) : Promise.resolve()
  }
  const links = new Map<string, Link>()
  let hops = 0
  for (const [i, a] of devices.entries()) {
    for (const b of devices.slice(i + 1)) {
      const [toB, toA] = createMemoryLinks(delay)
      links.set(`${a}>${b}`, toB).set(`${b}>${a}`, toA)
    }
  }
  const rings = new Map<DeviceId, Ring>()
  const numbered = { number: 1, plan: (plan ?? ((d) => evenPlan(d, rounds)))(devices) }
  for (const [i, me] of devices.entries()) {
    const ring = joinRing({
      me,
      numbered,
      dim,
      dtype,
      layers: wrap(toyLayers(), i),
      linkTo: (device) => links.get(`${me}>${device}`),
      onfailed: (session, error) => rings.get(numbered.plan.head)!.fail(error, session),
    })
    rings.set(me, ring)
    for (const from of devices) {
      links.get(`${me}>${from}`)?.listen({
        onframe(frame) {
          hops++
          ring.receive(from, frame)
        },
        onclose: () => rings.get(numbered.plan.head)!.fail(new EngineError('link-lost', `${from} is gone`)),
      })
    }
  }
  const ring = rings.get(numbered.plan.head)!
  return { ring, rings, devices, links, hops: () => hops }
}

async function answer(
  ring: Ring,
  tokens: number[],
  maxTokens: number,
  options: { cached?: number[]; abortAfter?: number; chunkRows?: number } = {},
) {
  const { cached = [], abortAfter, chunkRows = ring.chunkRows } = options
  const aborter = new AbortController()
  const out: number[] = []
  const loop = generate({
    ring: { ...ring, chunkRows },
    head: toyHead,
    session: 5,
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

it('a chunk has the rows that fit a frame, and 64 on a device alone, which sends none', () => {
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
  expect(chunkRows(alice!)).toBe(64)
})

describe('chunks that pile up', () => {
  it('run as one where a device is slower than the one before it, and say the same', async () => {
    const steps: number[] = []
    const { ring } = toyRing(3, 2, 'f32', undefined, (layers, i) => ({
      ...layers,
      async run(a, count) {
        if (i === 1) {
          steps.push(a.rows)
          await new Promise((resolve) => setTimeout(resolve, 15))
        }
        return layers.run(a, count)
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
            run(a, count) {
              steps.push(a.rows)
              return layers.run(a, count)
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
      ring: given,
      head: toyHead,
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
    expect(steps).toEqual([7, 7])
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
