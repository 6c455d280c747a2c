/**
 * The planner that rooms use: whatever a person asked for, exactly.
 *
 * @module
 */
import { checkProfiles } from './check.ts'
import { planExact } from './solve-exact.ts'
import { planManual } from './solve-manual.ts'
import { planStreaming } from './solve-streaming.ts'
import type { DeviceProfile, ModelProfile, PlanRequest, PlanResult } from './types.ts'

/** Equal input gives an equal answer, whatever the order of `devices`; bad profiles are refused with a sentence. */
export function plan(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  request: PlanRequest = { split: 'fastest' },
): PlanResult {
  if (request.split === 'fastest') {
    const exact = planExact(devices, model)
    if (exact.ok || exact.code !== 'no-plan' || devices.length === 0) return exact
    // It does not fit: let it stream, or else say why it does not fit.
    const streaming = planStreaming(devices, model)
    return streaming.ok ? streaming : exact
  }
  const problem = checkProfiles(devices, model)
  if (problem !== null) return { ok: false, code: 'bad-profile', message: problem }
  // The running order of a manual plan is the order given; sorting makes it the same for everybody.
  const ring = devices.toSorted((a, b) => (a.device < b.device ? -1 : 1))
  const { rounds = 1 } = request
  const shared = { rounds, streaming: true }
  if (request.split === 'even') {
    return planManual(ring, model, { layers: evenLayers(ring.length, model.nLayers), ...shared })
  }
  const { layers, head } = request
  return planManual(ring, model, { layers, ...shared, ...(head === undefined ? {} : { head }) })
}

/** nLayers over n devices, sizes differing by one at most. */
export function evenLayers(n: number, nLayers: number): number[] {
  return Array.from(
    { length: n },
    (_, i) => Math.floor(((i + 1) * nLayers) / n) - Math.floor((i * nLayers) / n),
  )
}
