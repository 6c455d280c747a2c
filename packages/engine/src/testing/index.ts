/**
 * What tests need of the engine and what does not ship: sources, models and contracts.
 *
 * @module
 */
export { bytesSource } from './bytes-source.ts'
export { writeGguf } from './gguf-writer.ts'
export { tinyModel, type TinyModelOptions } from './tiny-model.ts'
export {
  modelShapes,
  recipes,
  synthModel,
  type Recipe,
  type ModelShape,
  type SynthModel,
} from './synth/index.ts'
