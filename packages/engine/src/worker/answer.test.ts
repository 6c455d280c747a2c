import { expect, it } from 'vitest'
import { createSampler } from '../model/sampler.ts'
import { createVolleys } from '../ring/volleys.ts'
import { naive, prompt, toyHead, toyRing } from '../testing/toy-ring.ts'
import { createAnswer } from './answer.ts'

const options = { maxTokens: 12, temperature: 0.8, topP: 0.9, seed: 5 }
const whole = naive(prompt, options.maxTokens, createSampler(options))

/** An answer that another head began, on one that would encode the conversation otherwise. */
function goOnAfter(count: number, vocabSize = 50) {
  return createAnswer({
    volleys: createVolleys(toyRing(2, 1).ring, toyHead),
    speech: {
      encodeChat: () => [7, 7, 7],
      vocabSize,
      isEnd: () => false,
      createDecoder: () => ({ push: String, flush: () => '' }),
    },
    contextLength: 100,
    messages: [],
    options,
    cached: [],
    begun: { prompt, said: whole.slice(0, count) },
  })
}

it.each([1, 5, 11, 12])('goes on behind %i tokens of another head as that one would have', async (count) => {
  const said: (number | undefined)[] = []
  const session = { id: 1, from: 'alice-device' as never, cached: [] }
  const say = (_: string, token?: number) => void said.push(token)
  const answer = goOnAfter(count)
  expect(await answer.speak(session, new AbortController().signal, say)).toBe('length')
  expect(said).toEqual(whole.slice(count))
  expect(answer.stats(0, 'length')).toMatchObject({ promptTokens: prompt.length, outputTokens: 12 })
})

it('refuses tokens that the model does not have', () => {
  expect(() => goOnAfter(5, 9)).toThrow('begun by another model')
})
