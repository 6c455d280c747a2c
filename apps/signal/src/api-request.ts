/**
 * A program's `POST /v1/chat/completions`, read as the question that it asks. Pure but for the seed of those that name none.
 *
 * Fields and their ranges are those of OpenAI's API reference, "Create chat completion". What this room cannot do and what
 * would change the answer is refused with a sentence; what only describes the request (user, metadata, store …) is dropped.
 *
 * @module
 */
import { maxMessages, maxTokensOfAnswer } from '@hearth/engine/protocol'
import * as v from 'valibot'
import { badRequest, type ApiError } from './api-error.ts'
import type { Asked } from './room-state.ts'

export type ApiRequest = { asked: Asked; streams: boolean; includesUsage: boolean }

/** A field that may be there only with a value that changes nothing. */
const only = (isHarmless: (value: unknown) => boolean, sentence: string) =>
  v.nullish(v.custom<unknown>(isHarmless, sentence))
const never = () => false
const isZero = (value: unknown) => value === 0
const isEmpty = (value: unknown) =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0
const noTools = 'is not supported: the room calls no tools'
const noProbabilities = 'is not supported: the room tells no probabilities'
const noPenalties = 'is not supported: the room samples by temperature and top_p alone'

const between = (least: number, most: number) => {
  const sentence = `must be a number from ${least} to ${most}`
  return v.pipe(v.number(sentence), v.minValue(least, sentence), v.maxValue(most, sentence))
}
const tokenCount = v.pipe(
  v.number('must be a number of tokens'),
  v.integer('must be a whole number of tokens'),
  v.minValue(1, 'must be 1 or more'),
)
const yesOrNo = v.boolean('must be true or false')

const TextPart = v.object({ type: v.literal('text'), text: v.string() })
const Content = v.union(
  [v.string(), v.pipe(v.array(TextPart), v.minLength(1))],
  'must be a text or a list of text parts: the room reads text, neither images nor sound',
)
const Message = v.object(
  {
    // Newer clients say developer for system.
    role: v.picklist(
      ['system', 'developer', 'user', 'assistant'],
      'must be system, developer, user or assistant: the room calls no tools',
    ),
    content: Content,
    tool_calls: only(isEmpty, noTools),
    function_call: only(never, noTools),
  },
  'must be an object with role and content',
)

const Stop = v.pipe(
  v.union([v.string(), v.array(v.string())], 'must be a text or a list of texts'),
  v.transform((stop) => (typeof stop === 'string' ? [stop] : stop)),
  v.maxLength(4, 'must have 4 texts at most'),
  v.everyItem((text) => text !== '', 'must not be empty'),
  v.everyItem((text) => text.length <= 1000, 'must have 1000 characters at most'),
)

const RequestSchema = v.object(
  {
    model: v.nullish(v.string('must be a text')),
    messages: v.pipe(
      v.array(Message, 'must be a list of messages'),
      v.minLength(1, 'must have one message or more'),
      v.maxLength(maxMessages, `must have ${maxMessages} messages at most`),
    ),
    stream: v.nullish(yesOrNo, false),
    stream_options: v.nullish(v.object({ include_usage: v.nullish(yesOrNo, false) }, 'must be an object')),
    max_completion_tokens: v.nullish(tokenCount),
    max_tokens: v.nullish(tokenCount),
    temperature: v.nullish(between(0, 2), 1),
    top_p: v.nullish(between(0, 1), 1),
    seed: v.nullish(
      v.pipe(v.number('must be a whole number'), v.safeInteger('must be a whole number below 2 ** 53')),
    ),
    stop: v.nullish(Stop, []),

    n: only((value) => value === 1, 'must be 1: the room gives one answer to a question'),
    tools: only(isEmpty, noTools),
    tool_choice: only((value) => value === 'none' || value === 'auto', noTools),
    functions: only(isEmpty, noTools),
    function_call: only((value) => value === 'none' || value === 'auto', noTools),
    web_search_options: only(never, noTools),
    response_format: only(
      (value) => v.is(v.object({ type: v.literal('text') }), value),
      'must be of type text: the room does not hold an answer to a schema',
    ),
    modalities: only(
      (value) => Array.isArray(value) && value.every((each) => each === 'text'),
      'must be text alone: the room neither speaks nor draws',
    ),
    audio: only(never, 'is not supported: the room does not speak'),
    logprobs: only((value) => value === false, noProbabilities),
    top_logprobs: only(isZero, noProbabilities),
    logit_bias: only(isEmpty, noPenalties),
    presence_penalty: only(isZero, noPenalties),
    frequency_penalty: only(isZero, noPenalties),
    // Of other servers, whose clients send them here as well.
    top_k: only(never, noPenalties),
    min_p: only(isZero, noPenalties),
    repetition_penalty: only((value) => value === 1, noPenalties),
    repeat_penalty: only((value) => value === 1, noPenalties),
  },
  'The request must be a JSON object',
)

/** @param running name of the model that the room runs, the only one it answers with */
export function readApiRequest(text: string, running: string): ApiRequest | ApiError {
  const result = v.safeParse(RequestSchema, jsonOf(text), { abortEarly: true })
  if (!result.success) {
    const [issue] = result.issues
    const param = v.getDotPath(issue)
    if (param === null) return badRequest(`${issue.message}.`, null)
    const code = issue.type === 'custom' ? 'unsupported_value' : 'invalid_value'
    return badRequest(
      `${param} ${issue.received === 'undefined' ? 'is missing' : issue.message}.`,
      code,
      param,
    )
  }
  const { model, messages, stream, stream_options, temperature, top_p, seed, stop, ...rest } = result.output
  if ((model ?? running) !== running) {
    const message = `The room runs ${running} and nothing else now; ${model} would have to be chosen on its page.`
    return badRequest(message, 'model_not_found', 'model', 404)
  }
  const maxTokens = rest.max_completion_tokens ?? rest.max_tokens ?? maxTokensOfAnswer
  return {
    streams: stream,
    includesUsage: stream_options?.include_usage ?? false,
    asked: {
      messages: messages.map(({ role, content }) => ({
        role: role === 'developer' ? 'system' : role,
        content: typeof content === 'string' ? content : content.map((part) => part.text).join('\n'),
      })),
      options: {
        maxTokens: Math.min(maxTokens, maxTokensOfAnswer),
        temperature,
        topP: top_p,
        // Of 64 bits there, of 32 here; some programs say -1.
        seed: seed === null || seed === undefined ? randomSeed() : ((seed % 2 ** 32) + 2 ** 32) % 2 ** 32,
      },
      stop,
    },
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const randomSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0]!
