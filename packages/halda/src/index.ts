export { checkDevice, checkModel, checkProfiles } from './check.ts'
export { planCost, type DeviceCost, type PlanCost } from './cost.ts'
export { explain, formatExplanation, type ExplainedDevice, type Explanation } from './explain.ts'
export { totalBytes } from './layer-bytes.ts'
export { plan } from './plan.ts'
export {
  chooseResidency,
  isOneOf,
  kvSteps,
  leastResidentBytes,
  leastSlots,
  outputPieceCount,
  type Residency,
  largestBytes,
  sumBytes,
} from './residency.ts'
export { planExact } from './solve-exact.ts'
export { planManual, type ManualRequest } from './solve-manual.ts'
export { layerKvBytes } from './symbols.ts'
export type * from './types.ts'
export { evenLayers } from './windows.ts'
