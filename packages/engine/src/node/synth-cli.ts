/**
 * `npm run synth -- --shape llama-3.2-1b --type Q4_K_M --out FILE`: a GGUF file of any published shape.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { modelShapes, recipes, synthModel, type Recipe, type ShapeName } from '../testing/synth/index.ts'
import { readChoice, readInteger, UsageError } from './arguments.ts'
import { writeSynthFile } from './synth-file.ts'

const shapeNames = Object.keys(modelShapes) as [ShapeName, ...ShapeName[]]
const recipeNames = Object.keys(recipes) as [Recipe, ...Recipe[]]

const usage = `Usage: npm run synth -- --shape SHAPE --type TYPE --out FILE [--layers N] [--seed N]

  Writes a GGUF file with random weights. Any GGUF engine loads it; what it says means nothing.

  --shape   ${shapeNames.join(', ')}
  --type    ${recipeNames.join(', ')}
  --layers  instead of the shape's own number
  --seed    the same seed gives the same file (default 1)
`

try {
  await main()
} catch (thrown) {
  if (!(thrown instanceof UsageError) && !(thrown instanceof TypeError)) throw thrown
  process.stderr.write(`${thrown.message}\n\n${usage}`)
  process.exitCode = 1
}

async function main(): Promise<void> {
  const text = { type: 'string' } as const
  const options = {
    shape: text,
    type: text,
    out: text,
    layers: text,
    seed: text,
    help: { type: 'boolean' },
  } as const
  const { values } = parseArgs({ options })
  if (values.help) return void process.stdout.write(usage)
  if (values.out === undefined) throw new UsageError('Name the file to write with --out.')
  const name = readChoice('shape', values.shape ?? '', shapeNames)
  const recipe = readChoice('type', values.type ?? '', recipeNames)
  const nLayers = readInteger('layers', values.layers, {
    absent: modelShapes[name].nLayers,
    min: 1,
    max: 1024,
  })
  const seed = readInteger('seed', values.seed, { absent: 1, min: 0, max: 0xffff_ffff })
  const startMs = performance.now()
  const model = synthModel({ ...modelShapes[name], nLayers }, recipe, { name: `synthetic ${name}`, seed })
  await writeSynthFile(values.out, model)
  const seconds = (performance.now() - startMs) / 1000
  const bits = (8 * model.sizeBytes) / model.weights
  process.stderr.write(
    `${values.out}: ${model.sizeBytes} bytes, ${bits.toFixed(2)} bits per weight, ` +
      `${(model.sizeBytes / seconds / 1e6).toFixed(0)} MB/s\n`,
  )
}
