/**
 * The behaviour of {@link Layers}: what it computes, judged layer for layer by the forward pass over the reference
 * backend, and how it keeps its caches. Cases without a test framework: they run in vitest, and in a worker of a browser
 * that has a GPU.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { WeightType } from '../gguf/quant.ts'
import type { Activation } from '../protocol.ts'
import { equal, rejects } from '../testing/expectations.ts'
import { nmse } from '../testing/nmse.ts'
import { randomNumbers } from '../testing/random-blocks.ts'
import { referenceLayers } from '../testing/reference-layers.ts'
import { tinyModel, type TinyModelOptions } from '../testing/tiny-model.ts'
import { runAlone, type Layers } from './layers.ts'

export type LayersUnderTest = { layers: Layers; close(): void }

/** Makes all layers of a model that is given as a GGUF file. */
export type CreateLayers = (gguf: Uint8Array) => Promise<LayersUnderTest>

export type LayersCase = { title: string; run(create: CreateLayers): Promise<void> }

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
    title: 'a conversation that outgrows its caches',
    model: {},
    steps: [
      { position: 0, rows: 250 },
      { position: 250, rows: 20 },
      { position: 270, rows: 1 },
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

/** Each step of a model, judged by the reference. */
export const layersArithmetic: readonly LayersCase[] = cases.map((testCase) => ({
  title: `computes what the reference computes: ${testCase.title}`,
  async run(create) {
    const want = await judge(testCase)
    const subject = await create(tinyModel(testCase.model))
    const got = await performCase(subject, testCase)
    subject.close()
    for (const [i, hidden] of got.entries()) near(hidden, want[i]!, testCase.maxNmse, testCase.because)
  },
}))

const nLayers = 3
const dim = 64

/** Ten positions' hidden states, the same in every case. */
const states = hiddenStates(1, 10, dim)
const rowsOf = (from: number, to: number) => states.slice(from * dim, to * dim)

type Span = { layer?: number; count?: number; hidden?: Float32Array }

type Subject = {
  layers: Layers
  /** Rows [from, to) of a session. */
  run(session: number, from: number, to: number, span?: Span): Promise<Float32Array>
  newSession(): number
}

function behaviour(title: string, act: (subject: Subject) => Promise<void>): LayersCase {
  return {
    title,
    async run(create) {
      const { layers, close } = await create(tinyModel({ nLayers, type: 'F16' }))
      let lastSession = 0
      await act({
        layers,
        newSession: () => ++lastSession,
        async run(session, from, to, { layer = 0, count = nLayers, hidden = rowsOf(from, to) } = {}) {
          const frame = { plan: 7, session, position: from, layer, rows: to - from, hidden }
          return (await runAlone(layers, frame, count)).hidden.slice()
        },
      })
      close()
    },
  }
}

/** How layers keep sessions apart; those over the reference are held to this too. */
export const layersBehaviour: readonly LayersCase[] = [
  behaviour('what comes back is the frame, with its layer advanced', async ({ layers, newSession }) => {
    const session = newSession()
    const frame = { plan: 7, session, position: 0, layer: 0, rows: 2, hidden: rowsOf(0, 2) }
    const { hidden, ...rest } = await runAlone(layers, frame, 2)
    equal(rest, { plan: 7, session, position: 0, layer: 2, rows: 2 })
    equal(hidden.length, 2 * dim)
    near(frame.hidden, rowsOf(0, 2), 0)
  }),

  behaviour('behind the last layer the last row alone comes back, more to follow or not', async (subject) => {
    const session = subject.newSession()
    const hidden = rowsOf(0, 3)
    const frame = { plan: 7, session, position: 0, layer: 0, rows: 3, more: true as const, hidden }
    const { hidden: last, ...rest } = await runAlone(subject.layers, frame, nLayers)
    equal(rest, { plan: 7, session, position: 2, layer: nLayers, rows: 1 })
    equal(last.length, dim)
  }),

  behaviour(
    'every row comes back where it is asked for, each as alone, and going back takes them off',
    async (subject) => {
      const { layers, run, newSession } = subject
      const judge = newSession()
      await run(judge, 0, 4)
      const alone: Float32Array[] = []
      for (let at = 4; at < 8; at++) alone.push(await run(judge, at, at + 1))
      const session = newSession()
      await run(session, 0, 4)
      const frame = {
        plan: 7,
        session,
        position: 4,
        layer: 0,
        rows: 4,
        every: true as const,
        hidden: rowsOf(4, 8),
      }
      const { hidden, ...rest } = await runAlone(layers, frame, nLayers)
      equal(rest, { plan: 7, session, position: 4, layer: nLayers, rows: 4, every: true })
      for (const [row, want] of alone.entries()) near(hidden.subarray(row * dim, (row + 1) * dim), want, 1e-6)
      // Two of them came true.
      near(await run(session, 6, 7), alone[2]!, 1e-6)
      await rejects(run(session, 8, 9), 'kv-lost')
    },
  ),

  behaviour('a prompt in chunks gives what it gives at once', async ({ run, newSession }) => {
    const rows = await run(newSession(), 0, 10, { count: nLayers - 1 })
    const last = await run(newSession(), 0, 10)
    for (const chunk of [1, 3, 4]) {
      const [before, through] = [newSession(), newSession()]
      for (let at = 0; at < 10; at += chunk) {
        const to = Math.min(10, at + chunk)
        const part = await run(before, at, to, { count: nLayers - 1 })
        near(part, rows.slice(at * dim, to * dim), 1e-6)
        const answer = await run(through, at, to)
        if (to === 10) near(answer, last, 1e-6)
      }
    }
  }),

  behaviour('two windows give what one gives', async ({ run, newSession }) => {
    const whole = await run(newSession(), 0, 10)
    const session = newSession()
    const first = await run(session, 0, 10, { count: 1 })
    const second = await run(session, 0, 10, { layer: 1, count: 2, hidden: first })
    near(second, whole, 1e-12)
  }),

  behaviour('sessions do not see each other', async ({ run, newSession }) => {
    const alone = await run(newSession(), 0, 10)
    const [alice, bob] = [newSession(), newSession()]
    await run(alice, 0, 4)
    await run(bob, 0, 10, { hidden: hiddenStates(2, 10, dim) })
    near(await run(alice, 4, 10), alone, 1e-6)
  }),

  behaviour('sessions that run together compute what they compute alone, to the bit', async (subject) => {
    const { layers, run, newSession } = subject
    const spans = [
      [4, 5],
      [2, 10],
      [9, 10],
      [0, 3],
    ] as const
    for (const count of [nLayers, nLayers - 1]) {
      const alone: Float32Array[] = []
      const group: Activation[] = []
      for (const [from, to] of spans) {
        const judge = newSession()
        if (from > 0) await run(judge, 0, from)
        alone.push(await run(judge, from, to, { count }))
        const session = newSession()
        if (from > 0) await run(session, 0, from)
        group.push({ plan: 7, session, position: from, layer: 0, rows: to - from, hidden: rowsOf(from, to) })
      }
      const together = await layers.run(group, count)
      for (const [i, out] of together.entries()) {
        if (out instanceof EngineError) throw out
        equal([out.session, out.layer], [group[i]!.session, count])
        near(out.hidden, alone[i]!, 0)
      }
      // Each has its own cache, as far as it got.
      for (const [i, [, to]] of spans.entries())
        if (to < 10 && count === nLayers) await run(group[i]!.session, to, to + 1)
    }
  }),

  behaviour('a session whose cache is lost drops out of its group alone', async (subject) => {
    const { layers, run, newSession } = subject
    const [alice, bob, charlie] = [newSession(), newSession(), newSession()]
    await run(alice, 0, 4)
    await run(charlie, 0, 4)
    const expected = await run(newSession(), 0, 5)
    const group = [alice, bob, charlie].map((session) => {
      return { plan: 7, session, position: 4, layer: 0, rows: 1, hidden: rowsOf(4, 5) }
    })
    const [first, second, third] = await layers.run(group, nLayers)
    equal(second instanceof EngineError && second.code, 'kv-lost')
    for (const out of [first, third]) near((out as Activation).hidden, expected, 1e-6)
    await run(alice, 5, 6)
  }),

  behaviour(
    'a position that the cache has not reached is a lost cache, in this session alone',
    async (subject) => {
      const { run, newSession } = subject
      const session = newSession()
      await run(session, 0, 2)
      await rejects(run(session, 5, 6), 'kv-lost')
      await rejects(run(newSession(), 2, 3), 'kv-lost')
      await run(session, 2, 3)
    },
  ),

  behaviour('going back forgets what came after', async ({ run, newSession }) => {
    const session = newSession()
    await run(session, 0, 8)
    await run(session, 2, 4)
    await rejects(run(session, 6, 7), 'kv-lost')
  }),

  behaviour(
    'a released session gives its memory back; releasing without a name releases all',
    async (subject) => {
      const { layers, run, newSession } = subject
      const [alice, bob] = [newSession(), newSession()]
      await run(alice, 0, 2)
      await run(bob, 0, 2)
      const both = layers.kvBytes()
      layers.release(alice)
      if (layers.kvBytes() >= both) throw new Error('a released session kept its cache')
      await rejects(run(alice, 2, 3), 'kv-lost')
      await run(bob, 2, 3)
      layers.release()
      equal(layers.kvBytes(), 0)
    },
  ),
]

export const layersContract: readonly LayersCase[] = [...layersArithmetic, ...layersBehaviour]

/** Written so that NaN is not near anything. */
function near(got: Float32Array, want: Float32Array, most: number, because?: string): void {
  const error = nmse(got, want)
  if (!(error <= most))
    throw new Error(`NMSE ${error}, where ${most} is allowed${because ? `: ${because}` : ''}`)
}
