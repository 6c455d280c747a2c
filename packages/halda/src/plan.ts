/**
 * The planner that rooms use: whatever a person asked for, exactly.
 *
 * @module
 */
import { checkProfiles } from './check.ts'
import { createPricer } from './cost.ts'
import { isWorthMoving } from './keep-plan.ts'
import { planExact } from './solve-exact.ts'
import { planManual } from './solve-manual.ts'
import { nsPerMs } from './symbols.ts'
import type { DeviceProfile, ModelProfile, Plan, PlanContext, PlanRequest, PlanResult } from './types.ts'
import { evenLayers } from './windows.ts'

/** Equal input gives an equal answer, whatever the order of `devices`; bad profiles are refused with a sentence. */
export function plan(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  request: PlanRequest = { split: 'fastest' },
  context: PlanContext = {},
): PlanResult {
  if (request.split === 'fastest') return planFastest(devices, model, context)
  const problem = checkProfiles(devices, model)
  if (problem !== null) return { ok: false, code: 'bad-profile', message: problem }
  // The running order of a manual plan is the order given; sorting makes it the same for everybody.
  const ring = devices.toSorted((a, b) => (a.device < b.device ? -1 : 1))
  const { rounds = 1 } = request
  const { workload } = context
  if (request.split === 'even') {
    return planManual(ring, model, { layers: evenLayers(ring.length, model.nLayers), rounds }, workload)
  }
  const { layers, gpuLayers = {}, head } = request
  const wanted = { layers, gpuLayers, rounds, ...(head === undefined ? {} : { head }) }
  return planManual(ring, model, wanted, workload)
}

/** The fastest plan, or the current one as long as another is not worth moving layers. */
function planFastest(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  { workload, current }: PlanContext,
): PlanResult {
  const fastest = planExact(devices, model, workload)
  if (!fastest.ok || current === undefined || !canRun(current, devices, model)) return fastest
  const cost = createPricer(devices, model, workload)(current)
  if (!cost.fits || isWorthMoving({ plan: current, cost }, fastest.plan, devices, model)) return fastest
  return { ok: true, plan: { ...current, predictedTpotMs: cost.tpotNs / nsPerMs } }
}

/** Its devices are here, and it covers the model. */
function canRun({ head, windows }: Plan, devices: readonly DeviceProfile[], model: ModelProfile): boolean {
  const here = new Set(devices.map(({ device }) => device))
  const layers = windows.reduce((sum, window) => sum + window.layers, 0)
  return layers === model.nLayers && here.has(head) && windows.every(({ device }) => here.has(device))
}
