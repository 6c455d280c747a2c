/**
 * The behaviour of {@link Layers}: what it computes, judged layer for layer by the forward pass over the reference
 * backend, and how it keeps its caches.
 *
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EngineError } from '../errors.ts'
import type { WeightType } from '../gguf/quant.ts'
import type { Activation } from '../protocol.ts'
import { nmse } from '../testing/nmse.ts'
import { randomNumbers } from '../testing/random-blocks.ts'
import { referenceLayers } from '../testing/reference-layers.ts'
import { tinyModel, type TinyModelOptions } from '../testing/tiny-model.ts'
import { runAlone, type Layers } from './layers.ts'

export type LayersUnderTest = { layers: Layers; close(): void }

/** Makes all layers of a model that is given as a GGUF file. */
export type CreateLayers = (gguf: Uint8Array) => Promise<LayersUnderTest>

export function layersContract(name: string, create: CreateLayers): void {
  layersArithmetic(name, create)
  layersBehaviour(name, create)
}

type Case = {
  title: string
  model: TinyModelOptions
  /** Run one after the other in one session. */
  steps: readonly { position: number; rows: number }[]
  maxNmse: number
  because?: string
}

const prompt = [{ position: 0, rows: 17 }]
const exact = { maxNmse: 1e-6, because: 'K and V may be kept in f16' }
const rounded = {
  maxNmse: 5e-3,
  because: 'activations may be rounded to int8 before each of seven products a layer',
}

const ofType = (type: WeightType): Case => ({
  title: `Llama in ${type}`,
  model: { type, dim: 256, ffnDim: 512, nHeads: 8, nKvHeads: 2 },
  steps: prompt,
  ...(type === 'F32' || type === 'F16' ? exact : rounded),
})

const cases: readonly Case[] = [
  ...(['F32', 'F16', 'Q8_0', 'Q4_0', 'Q5_0', 'Q4_K', 'Q5_K', 'Q6_K'] as const).map(ofType),
  { title: 'Qwen2, with biases', model: { architecture: 'qwen2' }, steps: prompt, ...exact },
  { title: "Llama 3.1's RoPE factors", model: { ropeFactors: true }, steps: prompt, ...exact },
  {
    title: 'a linear RoPE scale',
    model: { metadata: { 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 4 } },
    steps: prompt,
    ...exact,
  },
  { title: 'a KV head for each head', model: { nKvHeads: 4 }, steps: prompt, ...exact },
  {
    title: 'chunks longer than any scratch, then tokens',
    model: {},
    steps: [
      { position: 0, rows: 70 },
      { position: 70, rows: 130 },
      { position: 200, rows: 1 },
      { position: 201, rows: 1 },
    ],
    ...exact,
  },
  {
    title: 'going back to an earlier position',
    model: {},
    steps: [
      { position: 0, rows: 20 },
      { position: 20, rows: 1 },
      { position: 5, rows: 3 },
      { position: 8, rows: 1 },
    ],
    ...exact,
  },
]

const widthOf = ({ dim = 64 }: TinyModelOptions) => dim
const nLayersOf = ({ nLayers = 2 }: TinyModelOptions) => nLayers

/** Hidden states (rows, dim) that a seed decides. */
const hiddenStates = (seed: number, rows: number, dim: number) => randomNumbers(seed, rows * dim)

/** After each step, all rows before the last layer and what comes out of that. */
async function performCase({ layers }: LayersUnderTest, { model, steps }: Case): Promise<Float32Array[]> {
  const results: Float32Array[] = []
  for (const [i, { position, rows }] of steps.entries()) {
    const hidden = hiddenStates(i + 1, rows, widthOf(model))
    const frame = { plan: 1, session: 0, position, layer: 0, rows, hidden }
    const before = await runAlone(layers, frame, nLayersOf(model) - 1)
    results.push(before.hidden.slice())
    results.push((await runAlone(layers, before, 1)).hidden.slice())
  }
  return results
}

/** What the reference says, worked out once for all implementations under test. */
const answers = new Map<Case, Float32Array[]>()

async function judge(testCase: Case): Promise<Float32Array[]> {
  const known = answers.get(testCase)
  if (known) return known
  const reference = await referenceLayers(tinyModel(testCase.model))
  const answer = await performCase(reference, testCase)
  reference.close()
  answers.set(testCase, answer)
  return answer
}

function layersArithmetic(name: string, create: CreateLayers): void {
  describe(`${name} compute what the reference computes`, () => {
    test.each(cases)('$title', async (testCase) => {
      const want = await judge(testCase)
      const subject = await create(tinyModel(testCase.model))
      const got = await performCase(subject, testCase)
      subject.close()
      for (const [i, hidden] of got.entries()) {
        expect(nmse(hidden, want[i]!), testCase.because).toBeLessThanOrEqual(testCase.maxNmse)
      }
    })
  })
}

/** How layers keep sessions apart; those over the reference are held to this too. */
export function layersBehaviour(name: string, create: CreateLayers): void {
  describe(`${name} keep sessions as the seam says`, () => {
    const nLayers = 3
    const dim = 64
    let subject: LayersUnderTest
    beforeAll(async () => {
      subject = await create(tinyModel({ nLayers, type: 'F16' }))
    })
    afterAll(() => subject.close())

    /** Ten positions' hidden states, the same in every test. */
    const states = hiddenStates(1, 10, dim)
    const rowsOf = (from: number, to: number) => states.slice(from * dim, to * dim)
    let lastSession = 0

    type Span = { layer?: number; count?: number; hidden?: Float32Array }
    async function run(session: number, from: number, to: number, span: Span = {}): Promise<Float32Array> {
      const { layer = 0, count = nLayers, hidden = rowsOf(from, to) } = span
      const frame = { plan: 7, session, position: from, layer, rows: to - from, hidden }
      return (await runAlone(subject.layers, frame, count)).hidden.slice()
    }

    test('what comes back is the frame, with its layer advanced', async () => {
      const session = ++lastSession
      const frame = { plan: 7, session, position: 0, layer: 0, rows: 2, hidden: rowsOf(0, 2) }
      const { hidden, ...rest } = await runAlone(subject.layers, frame, 2)
      expect(rest).toEqual({ plan: 7, session, position: 0, layer: 2, rows: 2 })
      expect(hidden).toHaveLength(2 * dim)
      expect(nmse(frame.hidden, rowsOf(0, 2))).toBe(0)
    })

    test('behind the last layer the last row alone comes back, more to follow or not', async () => {
      const session = ++lastSession
      const frame = {
        plan: 7,
        session,
        position: 0,
        layer: 0,
        rows: 3,
        more: true as const,
        hidden: rowsOf(0, 3),
      }
      const { hidden, ...rest } = await runAlone(subject.layers, frame, nLayers)
      expect(rest).toEqual({ plan: 7, session, position: 2, layer: nLayers, rows: 1 })
      expect(hidden).toHaveLength(dim)
    })

    test('a prompt in chunks gives what it gives at once', async () => {
      const rows = await run(++lastSession, 0, 10, { count: nLayers - 1 })
      const last = await run(++lastSession, 0, 10)
      for (const chunk of [1, 3, 4]) {
        const [before, through] = [++lastSession, ++lastSession]
        for (let at = 0; at < 10; at += chunk) {
          const to = Math.min(10, at + chunk)
          const part = await run(before, at, to, { count: nLayers - 1 })
          expect(nmse(part, rows.slice(at * dim, to * dim))).toBeLessThanOrEqual(1e-6)
          const answer = await run(through, at, to)
          if (to === 10) expect(nmse(answer, last)).toBeLessThanOrEqual(1e-6)
        }
      }
    })

    test('two windows give what one gives', async () => {
      const whole = await run(++lastSession, 0, 10)
      const session = ++lastSession
      const first = await run(session, 0, 10, { count: 1 })
      const second = await run(session, 0, 10, { layer: 1, count: 2, hidden: first })
      expect(nmse(second, whole)).toBeLessThanOrEqual(1e-12)
    })

    test('sessions do not see each other', async () => {
      const alone = await run(++lastSession, 0, 10)
      const [alice, bob] = [++lastSession, ++lastSession]
      await run(alice, 0, 4)
      await run(bob, 0, 10, { hidden: hiddenStates(2, 10, dim) })
      const rest = await run(alice, 4, 10)
      expect(nmse(rest, alone)).toBeLessThanOrEqual(1e-6)
    })

    test('sessions that run together compute what they compute alone, to the bit', async () => {
      const frameOf = (session: number, from: number, to: number) => {
        const hidden = rowsOf(from, to)
        return { plan: 7, session, position: from, layer: 0, rows: to - from, hidden }
      }
      const spans = [
        [4, 5],
        [2, 10],
        [9, 10],
        [0, 3],
      ] as const
      for (const count of [nLayers, nLayers - 1]) {
        const alone: Float32Array[] = []
        const group = []
        for (const [from, to] of spans) {
          const judge = ++lastSession
          if (from > 0) await run(judge, 0, from)
          alone.push(await run(judge, from, to, { count }))
          const session = ++lastSession
          if (from > 0) await run(session, 0, from)
          group.push(frameOf(session, from, to))
        }
        const together = await subject.layers.run(group, count)
        for (const [i, out] of together.entries()) {
          if (out instanceof EngineError) throw out
          expect(out).toMatchObject({ session: group[i]!.session, layer: count })
          expect(out.hidden).toEqual(alone[i])
        }
        // Each has its own cache, as far as it got.
        for (const [i, [, to]] of spans.entries())
          if (to < 10 && count === nLayers) await run(group[i]!.session, to, to + 1)
      }
    })

    test('a session whose cache is lost drops out of its group alone', async () => {
      const [alice, bob, charlie] = [++lastSession, ++lastSession, ++lastSession]
      await run(alice, 0, 4)
      await run(charlie, 0, 4)
      const expected = await run(++lastSession, 0, 5)
      const group = [alice, bob, charlie].map((session) => {
        return { plan: 7, session, position: 4, layer: 0, rows: 1, hidden: rowsOf(4, 5) }
      })
      const [first, second, third] = await subject.layers.run(group, nLayers)
      expect(second).toMatchObject({ code: 'kv-lost' })
      for (const out of [first, third])
        expect(nmse((out as Activation).hidden, expected)).toBeLessThanOrEqual(1e-6)
      await run(alice, 5, 6)
    })

    test('a position that the cache has not reached is a lost cache, in this session alone', async () => {
      const session = ++lastSession
      await run(session, 0, 2)
      await expect(run(session, 5, 6)).rejects.toMatchObject({ code: 'kv-lost' })
      await expect(run(++lastSession, 2, 3)).rejects.toMatchObject({ code: 'kv-lost' })
      await run(session, 2, 3)
    })

    test('going back forgets what came after', async () => {
      const session = ++lastSession
      await run(session, 0, 8)
      await run(session, 2, 4)
      await expect(run(session, 6, 7)).rejects.toMatchObject({ code: 'kv-lost' })
    })

    test('a released session is lost and gives its memory back; releasing without a name releases all', async () => {
      const [alice, bob] = [++lastSession, ++lastSession]
      await run(alice, 0, 2)
      await run(bob, 0, 2)
      const both = subject.layers.kvBytes()
      subject.layers.release(alice)
      expect(subject.layers.kvBytes()).toBeLessThan(both)
      await expect(run(alice, 2, 3)).rejects.toMatchObject({ code: 'kv-lost' })
      await run(bob, 2, 3)
      subject.layers.release()
      expect(subject.layers.kvBytes()).toBe(0)
    })
  })
}
