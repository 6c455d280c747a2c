/**
 * The planner that rooms use: whatever a person asked for, exactly.
 *
 * @module
 */
import { checkProfiles } from './check.ts'
import { planExact } from './solve-exact.ts'
import { planManual } from './solve-manual.ts'
import type { DeviceProfile, ModelProfile, PlanRequest, PlanResult } from './types.ts'
import { evenLayers } from './windows.ts'

/** Equal input gives an equal answer, whatever the order of `devices`; bad profiles are refused with a sentence. */
export function plan(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  request: PlanRequest = { split: 'fastest' },
): PlanResult {
  if (request.split === 'fastest') {
    return planExact(devices, model)
  }
  const problem = checkProfiles(devices, model)
  if (problem !== null) return { ok: false, code: 'bad-profile', message: problem }
  // The running order of a manual plan is the order given; sorting makes it the same for everybody.
  const ring = devices.toSorted((a, b) => (a.device < b.device ? -1 : 1))
  const { rounds = 1 } = request
  if (request.split === 'even') {
    return planManual(ring, model, { layers: evenLayers(ring.length, model.nLayers), rounds })
  }
  const { layers, head } = request
  return planManual(ring, model, { layers, rounds, ...(head === undefined ? {} : { head }) })
}
