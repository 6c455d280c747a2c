/**
 * What a person may call a model on the command line.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { modelShapes, recipes, synthModel, type Recipe, type SynthModel } from '@hearth/engine/testing'

/**
 * The model that 'synth:llama-3-8b:Q4_K_M' names; null for names that do not begin with 'synth:'.
 *
 * @throws RangeError that lists what there is
 */
export function synthNamed(name: string): SynthModel | null {
  const [kind, shapeName = '', recipe = 'Q4_K_M'] = name.split(':')
  if (kind !== 'synth') return null
  const shape = Object.entries(modelShapes).find(([known]) => known === shapeName)?.[1]
  if (!shape)
    throw new RangeError(
      `There is no shape "${shapeName}"; there are ${Object.keys(modelShapes).join(', ')}.`,
    )
  if (!(recipe in recipes)) {
    throw new RangeError(`There is no recipe "${recipe}"; there are ${Object.keys(recipes).join(', ')}.`)
  }
  return synthModel(shape, recipe as Recipe, { name })
}

/** @throws Error when a file is named that is not there, or no GGUF by its name */
export function isModelFile(model: string): boolean {
  if (existsSync(model)) {
    if (model.endsWith('.gguf')) return true
    throw new Error(`${model} is no GGUF file: its name must end in .gguf.`)
  }
  const isElsewhere =
    model === 'demo' || model.startsWith('synth:') || /^https?:/.test(model) || model.startsWith('/models/')
  if (isElsewhere || /^[^/.][^/]*\/[^/]+\/.+\.gguf$/.test(model)) return false
  throw new Error(
    `There is no model ${model}: name a GGUF file, demo, owner/repo/file.gguf, a URL or synth:SHAPE:TYPE.`,
  )
}
