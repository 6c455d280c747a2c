import { describe, expect, it } from 'vitest'
import { readApiRequest, type ApiRequest } from './api-request.ts'
import type { ApiError } from './api-error.ts'

const messages = [{ role: 'user', content: 'Hello' }]

const read = (body: unknown): ApiRequest | ApiError =>
  readApiRequest(typeof body === 'string' ? body : JSON.stringify(body), 'demo')
function accepted(body: unknown): ApiRequest {
  const request = read(body)
  if ('status' in request) throw new Error(request.message)
  return request
}
function refused(body: unknown): ApiError {
  const request = read(body)
  if (!('status' in request)) throw new Error('It was accepted.')
  return request
}

describe('a request of a program', () => {
  it('asks as much as OpenAI’s defaults say where it says nothing', () => {
    const { asked, streams, includesUsage } = accepted({ model: 'demo', messages })
    expect({ asked, streams, includesUsage }).toEqual({
      asked: {
        messages,
        options: { maxTokens: 1_000_000, temperature: 1, topP: 1, seed: expect.any(Number) as number },
        stop: [],
      },
      streams: false,
      includesUsage: false,
    })
    expect(accepted({ messages }).asked.options.seed).not.toBe(asked.options.seed)
  })

  it('says how the answer is to be', () => {
    const request = accepted({
      model: 'demo',
      messages,
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 7,
      temperature: 0,
      top_p: 0.5,
      seed: 42,
      stop: '\n',
    })
    expect(request).toEqual({
      asked: { messages, options: { maxTokens: 7, temperature: 0, topP: 0.5, seed: 42 }, stop: ['\n'] },
      streams: true,
      includesUsage: true,
    })
    expect(accepted({ messages, max_tokens: 7, max_completion_tokens: 5 }).asked.options.maxTokens).toBe(5)
    expect(accepted({ messages, stop: ['a', 'b'] }).asked.stop).toEqual(['a', 'b'])
  })

  it('may have every role but tools, and text in parts', () => {
    const conversation = [
      { role: 'developer', content: 'Be short.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'One' },
          { type: 'text', text: 'Two' },
        ],
      },
      { role: 'assistant', content: 'Three', tool_calls: null, refusal: null },
      { role: 'user', content: '' },
    ]
    expect(accepted({ messages: conversation }).asked.messages).toEqual([
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'One\nTwo' },
      { role: 'assistant', content: 'Three' },
      { role: 'user', content: '' },
    ])
  })

  it('draws alike from a seed of any size, and never from one that the room cannot take', () => {
    for (const seed of [-1, 0, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 3, Number.MIN_SAFE_INTEGER]) {
      const { options } = accepted({ messages, seed }).asked
      expect(options.seed).toBe(accepted({ messages, seed }).asked.options.seed)
      expect(Number.isInteger(options.seed) && options.seed >= 0 && options.seed < 2 ** 32).toBe(true)
    }
  })

  it('may carry what changes nothing', () => {
    const idle = {
      n: 1,
      tools: [],
      tool_choice: 'none',
      response_format: { type: 'text' },
      modalities: ['text'],
      logprobs: false,
      top_logprobs: null,
      logit_bias: {},
      presence_penalty: 0,
      frequency_penalty: 0,
      user: 'anna',
      metadata: { from: 'editor' },
      stop: null,
      temperature: null,
      seed: null,
      stream: null,
    }
    expect(accepted({ messages, ...idle }).asked.options).toMatchObject({ temperature: 1, topP: 1 })
  })

  const changing: Record<string, unknown> = {
    n: 2,
    tools: [{ type: 'function', function: { name: 'weather' } }],
    tool_choice: 'required',
    functions: [{ name: 'weather' }],
    response_format: { type: 'json_object' },
    modalities: ['text', 'audio'],
    audio: { voice: 'alloy', format: 'wav' },
    logprobs: true,
    top_logprobs: 5,
    logit_bias: { '50256': -100 },
    presence_penalty: 0.5,
    frequency_penalty: -1,
    top_k: 40,
  }
  for (const [param, value] of Object.entries(changing)) {
    it(`is refused with ${param}, which would change the answer`, () => {
      const error = refused({ messages, [param]: value })
      expect(error).toMatchObject({
        status: 400,
        type: 'invalid_request_error',
        param,
        code: 'unsupported_value',
      })
      expect(error.message).toMatch(new RegExp(`^${param} (is not supported|must be).*\\.$`))
    })
  }

  const wrong: [body: unknown, param: string | null, says: RegExp][] = [
    ['{', null, /JSON object/],
    ['5', null, /JSON object/],
    [{}, 'messages', /^messages is missing\.$/],
    [{ messages: [] }, 'messages', /one message or more/],
    [{ messages: ['Hello'] }, 'messages.0', /object with role and content/],
    [{ messages: [{ role: 'tool', content: '12' }] }, 'messages.0.role', /calls no tools/],
    [
      { messages: [...messages, { role: 'user', content: [{ type: 'image_url', image_url: {} }] }] },
      'messages.1.content',
      /neither images nor sound/,
    ],
    [
      { messages: [{ role: 'assistant', content: '', tool_calls: [{ id: 'call' }] }] },
      'messages.0.tool_calls',
      /calls no tools/,
    ],
    [{ messages, temperature: 3 }, 'temperature', /from 0 to 2/],
    [{ messages, temperature: '1' }, 'temperature', /from 0 to 2/],
    [{ messages, top_p: -0.1 }, 'top_p', /from 0 to 1/],
    [{ messages, max_tokens: 0 }, 'max_tokens', /1 or more/],
    [{ messages, max_completion_tokens: 1.5 }, 'max_completion_tokens', /whole number/],
    [{ messages, seed: 0.5 }, 'seed', /whole number/],
    [{ messages, stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop', /4 texts at most/],
    [{ messages, stop: [''] }, 'stop', /must not be empty/],
    [{ messages, stop: '' }, 'stop', /must not be empty/],
    [{ messages, stream: 'yes' }, 'stream', /true or false/],
  ]
  for (const [body, param, says] of wrong) {
    it(`is refused as ${JSON.stringify(body).slice(0, 70)}`, () => {
      const error = refused(body)
      expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', param })
      expect(error.message).toMatch(says)
    })
  }

  it('is refused for a model that the room does not run', () => {
    expect(refused({ model: 'gpt-5', messages })).toMatchObject({
      status: 404,
      param: 'model',
      code: 'model_not_found',
      message: expect.stringMatching(/runs demo .* gpt-5/) as string,
    })
  })
})
