/**
 * What comes next: the most likely tokens after some others, with their probabilities, as JSON.
 *
 * @module
 */
import { probabilities } from '../../model/softmax.ts'
import { UsageError, readArguments, readInteger, type Command } from '../arguments.ts'
import { createFileSource } from '../file-source.ts'
import { loadModel, type LoadedModel } from '../load-model.ts'
import { logitsOf, runAlone } from '../../model/layers.ts'
import { backendOptions, openBackend } from '../open-backend.ts'

export const logits: Command = {
  usage: `  logits FILE --tokens 1,2,3 [--top 40] [--backend wasm|reference] [--threads N]
      The most likely next tokens as JSON: [[token, probability], …]`,

  async execute(args, { out }) {
    const { file, values } = readArguments(args, { tokens: 'text', top: 'text', ...backendOptions })
    const tokens = readTokens(values.tokens)
    const top = readInteger('top', values.top, { absent: 40, min: 1, max: 1_000_000 })
    const backend = await openBackend(values)
    try {
      const model = await loadModel(createFileSource(file), backend)
      refuseStrangers(tokens, model)
      out(`${JSON.stringify(mostLikely(probabilities(await logitsAfter(model, tokens)), top))}\n`)
    } finally {
      backend.close()
    }
  },
}

function readTokens(text: string | undefined): number[] {
  if (text === undefined) throw new UsageError('Give --tokens, such as --tokens 1,2,3.')
  if (!/^\d+(,\d+)*$/.test(text)) {
    throw new UsageError(
      `--tokens takes ids with commas between them, such as 1,2,3, not ${JSON.stringify(text)}.`,
    )
  }
  return text.split(',').map(Number)
}

function refuseStrangers(tokens: readonly number[], { config }: LoadedModel): void {
  const stranger = tokens.find((token) => token >= config.vocabSize)
  if (stranger !== undefined) {
    throw new UsageError(
      `This model has tokens 0 to ${config.vocabSize - 1}; ${stranger} is not one of them.`,
    )
  }
  if (tokens.length > config.contextLength) {
    throw new UsageError(
      `This model reads ${config.contextLength} tokens at most; --tokens has ${tokens.length}.`,
    )
  }
}

async function logitsAfter(
  { config, layers, head }: LoadedModel,
  tokens: readonly number[],
): Promise<Float32Array> {
  const hidden = await head.embed(tokens) // (rows, dim)
  const frame = { plan: 1, session: 0, position: 0, layer: 0, rows: tokens.length, hidden }
  const { hidden: out } = await runAlone(layers, frame, config.nLayers)
  return logitsOf(head, out.subarray(-config.dim))
}

/** Seven digits are what an f32 knows. */
function mostLikely(p: Float32Array, count: number): [token: number, probability: number][] {
  const ranked = Array.from(p.keys()).toSorted((a, b) => p[b]! - p[a]!)
  return ranked.slice(0, count).map((token) => [token, Number(p[token]!.toPrecision(7))])
}
