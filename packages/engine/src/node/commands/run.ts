/**
 * Answers a prompt: text on stdout as it comes, figures on stderr.
 *
 * @module
 */
import { EngineError } from '../../errors.ts'
import { createChatTemplate } from '../../model/chat-template.ts'
import { createSampler, type SamplerOptions } from '../../model/sampler.ts'
import { createTokenizer, type Tokenizer } from '../../model/tokenizer.ts'
import { generate } from '../../ring/generate.ts'
import { createVolleys } from '../../ring/volleys.ts'
import { readArguments, readInteger, readNumber, UsageError, type Command } from '../arguments.ts'
import { createFileSource } from '../file-source.ts'
import { loadModel, type LoadedModel } from '../load-model.ts'
import { backendOptions, openBackend } from '../open-backend.ts'
import { ringOfOne } from '../ring-of-one.ts'

const options = {
  prompt: 'text',
  chat: 'flag',
  greedy: 'flag',
  'max-tokens': 'text',
  temperature: 'text',
  'top-p': 'text',
  seed: 'text',
  ...backendOptions,
} as const

export const run: Command = {
  usage: `  run FILE --prompt TEXT [--chat] [--greedy] [--max-tokens N] [--temperature 0.7] [--top-p 0.9] [--seed 0]
      [--backend wasm|reference] [--threads N]
      Continues the prompt, or with --chat answers it; figures on stderr`,

  async execute(args, { out, note }) {
    const { file, values } = readArguments(args, options)
    if (values.prompt === undefined) throw new UsageError('Give --prompt.')
    const sampling = readSampling(values)
    const maxTokens = readInteger('max-tokens', values['max-tokens'], {
      absent: 1_000_000,
      min: 1,
      max: 1_000_000,
    })
    const backend = await openBackend(values)
    try {
      const model = await loadModel(createFileSource(file), backend)
      const tokenizer = createTokenizer(model.header)
      const prompt = values.chat
        ? createChatTemplate(model.header, tokenizer).encodeChat([{ role: 'user', content: values.prompt }])
        : tokenizer.encode(values.prompt, { special: true })
      refuseLength(prompt.length, model)
      const figures = await answer(model, tokenizer, prompt, { sampling, maxTokens, out })
      note(`${figures} · ${backend.detail}\n`)
    } finally {
      backend.close()
    }
  },
}

function readSampling(values: {
  greedy?: boolean
  temperature?: string
  'top-p'?: string
  seed?: string
}): SamplerOptions {
  if (values.greedy && (values.temperature ?? values['top-p'] ?? values.seed) !== undefined) {
    throw new UsageError('--greedy leaves nothing to --temperature, --top-p and --seed.')
  }
  return {
    temperature: values.greedy
      ? 0
      : readNumber('temperature', values.temperature, { absent: 0.7, min: 0, max: 10 }),
    topP: readNumber('top-p', values['top-p'], { absent: 0.9, min: 0, max: 1 }),
    seed: readInteger('seed', values.seed, { absent: 0, min: 0, max: 0xffff_ffff }),
  }
}

function refuseLength(promptTokens: number, { config }: LoadedModel): void {
  if (promptTokens === 0) throw new UsageError('The prompt is empty; give at least one word.')
  if (promptTokens >= config.contextLength) {
    throw new EngineError(
      'context-full',
      `The prompt has ${promptTokens} tokens; this model reads ${config.contextLength}, the answer included. Give a shorter one.`,
    )
  }
}

/** @returns what was measured, as a line */
async function answer(
  model: LoadedModel,
  tokenizer: Tokenizer,
  prompt: number[],
  { sampling, maxTokens, out }: { sampling: SamplerOptions; maxTokens: number; out(text: string): void },
): Promise<string> {
  const decoder = tokenizer.createDecoder()
  const askedAt = performance.now()
  const atMs: number[] = []
  const tokens = generate({
    volleys: createVolleys(ringOfOne(model), model.head),
    session: 0,
    prompt,
    cached: [],
    sample: createSampler(sampling),
    isEnd: tokenizer.isEnd,
    maxTokens,
    contextLength: model.config.contextLength,
    signal: new AbortController().signal,
  })
  for await (const token of tokens) {
    atMs.push(performance.now() - askedAt)
    out(decoder.push(token))
  }
  out(`${decoder.flush()}\n`)
  const [ttftMs = performance.now() - askedAt] = atMs
  const line = `${prompt.length} prompt tokens, TTFT ${ttftMs.toFixed(0)} ms · ${atMs.length} tokens`
  if (atMs.length < 2) return line
  const tpotMs = (atMs.at(-1)! - ttftMs) / (atMs.length - 1)
  return `${line}, TPOT ${tpotMs.toFixed(2)} ms (${(1000 / tpotMs).toFixed(1)} per second)`
}
