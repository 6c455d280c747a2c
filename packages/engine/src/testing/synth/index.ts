/**
 * Synthetic models of published shapes.
 *
 * @module
 */
export { recipes, type Recipe } from './recipe.ts'
export { modelShapes, type ModelShape, type ShapeName } from './shapes.ts'
export { synthModel, type SynthModel, type SynthOptions } from './synth-model.ts'
