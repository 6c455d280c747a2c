/**
 * An answer in the shapes of OpenAI's API reference: "The chat completion object" and "The chat completion chunk object".
 * Pure.
 *
 * @module
 */
import type { GenerateStats, ModelChoice, QuestionId } from '@hearth/engine/protocol'

export type AnswerHead = {
  question: QuestionId
  /** As the program must name it to be answered by it. */
  model: string
  createdAtMs: number
}

const headOf = ({ question, model, createdAtMs }: AnswerHead, object: string) => ({
  id: `chatcmpl-${question}`,
  object,
  created: Math.floor(createdAtMs / 1000),
  model,
})

const finishReason = ({ stop }: GenerateStats) => (stop === 'length' ? 'length' : 'stop')

const usageOf = ({ promptTokens, outputTokens, cachedTokens }: GenerateStats) => ({
  prompt_tokens: promptTokens,
  completion_tokens: outputTokens,
  total_tokens: promptTokens + outputTokens,
  prompt_tokens_details: { cached_tokens: cachedTokens },
})

export const completion = (head: AnswerHead, content: string, stats: GenerateStats) => ({
  ...headOf(head, 'chat.completion'),
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content, refusal: null },
      logprobs: null,
      finish_reason: finishReason(stats),
    },
  ],
  usage: usageOf(stats),
})

/** @param includesUsage every chunk then has the field, and the last one its value */
export function createChunks(head: AnswerHead, includesUsage: boolean) {
  const shared = { ...headOf(head, 'chat.completion.chunk'), ...(includesUsage && { usage: null }) }
  const chunk = (delta: object, finish_reason: string | null = null) => ({
    ...shared,
    choices: [{ index: 0, delta, logprobs: null, finish_reason }],
  })
  return {
    first: chunk({ role: 'assistant', content: '' }),
    text: (content: string) => chunk({ content }),
    last: (stats: GenerateStats) => [
      chunk({}, finishReason(stats)),
      ...(includesUsage ? [{ ...shared, choices: [], usage: usageOf(stats) }] : []),
    ],
  }
}

export const modelObject = ({ model }: ModelChoice, chosenAtMs: number | null) => ({
  id: model.name,
  object: 'model',
  /** 0 where the server has restarted since. */
  created: Math.floor((chosenAtMs ?? 0) / 1000),
  owned_by: 'hearth',
})
