/**
 * A model of many thin layers, as large models have them beside their size, and yet small enough to try often: 2.7 B
 * weights. Positions are few, so that budgets go into weights.
 *
 * @module
 */
import { modelShapes, type ModelShape } from '../../../packages/engine/src/testing/synth/index.ts'

export const thinShape: ModelShape = {
  ...modelShapes['hearth-1.1b'],
  nLayers: 96,
  ffnDim: 2816,
  nKvHeads: 4,
  contextLength: 512,
}
