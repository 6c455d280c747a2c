/**
 * What this device's GPU does, for its person. Pure.
 *
 * @module
 */
import type { ClusterState } from './cluster.ts'
import { countInWords } from './words.ts'

type Gpu = NonNullable<ClusterState['gpu']>

/** "intel gen-12lp, 4 layers" */
export function gpuInWords(
  { name, problem }: Gpu,
  { device, room, gpuBudgetBytes }: Pick<ClusterState, 'device' | 'room' | 'gpuBudgetBytes'>,
): string {
  if (problem !== null) return problem
  if (gpuBudgetBytes === 0) return `${name}, switched off in the settings`
  const windows = room?.numbered?.plan.windows.filter((window) => window.device === device) ?? []
  const layers = windows.reduce((sum, { gpuLayers }) => sum + gpuLayers, 0)
  return `${name}, ${layers === 0 ? 'at rest' : countInWords(layers, 'layer', 'layers')}`
}
