/**
 * The judge: tries every plan and asks `cost.ts` for the price of each. For clusters of up to four devices and ten
 * layers or so; it shares nothing with the searches that it judges.
 *
 * @module
 */
import { checkProfiles } from './check.ts'
import { createPricer } from './cost.ts'
import { noPlanSentence } from './sentence.ts'
import { isLower, rankOf } from './solve-exact.ts'
import { nsPerMs } from './symbols.ts'
import type { DeviceProfile, ModelProfile, Plan, PlanResult, Workload } from './types.ts'
import { spread, type Share } from './windows.ts'

/** As fast as the plan of `planExact`, by whatever rounds. */
export function planExhaustive(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  workload: Workload = {},
): PlanResult {
  const problem = checkProfiles(devices, model)
  if (problem !== null) return { ok: false, code: 'bad-profile', message: problem }

  const sorted = devices.toSorted((a, b) => (a.device < b.device ? -1 : 1))
  const price = createPricer(sorted, model, workload)
  let best: { plan: Plan; rank: readonly number[] } | null = null
  for (let rounds = 1; rounds <= model.nLayers; rounds++) {
    for (const shares of everyShare(sorted, model.nLayers, rounds)) {
      if (rounds > 1 && shares.length === 1) continue
      const windows = spread(shares, rounds)
      for (const { device: head } of sorted) {
        const plan: Plan = { head, rounds, windows, predictedTpotMs: 0 }
        const cost = price(plan)
        const rank = rankOf(cost)
        if (cost.fits && (best === null || isLower(rank, best.rank))) {
          best = { plan: { ...plan, predictedTpotMs: cost.tpotNs / nsPerMs }, rank }
        }
      }
    }
  }
  return best === null
    ? { ok: false, code: 'no-plan', message: noPlanSentence(sorted, model) }
    : { ok: true, plan: best.plan }
}

/** Every way for distinct devices to share out `nLayers`, each with a layer in every round, on CPU or GPU. */
function* everyShare(devices: readonly DeviceProfile[], nLayers: number, rounds: number): Generator<Share[]> {
  if (nLayers === 0) yield []
  for (const { device, gpu } of devices) {
    const others = devices.filter((each) => each.device !== device)
    for (let layers = rounds; layers <= nLayers; layers++) {
      for (let gpuLayers = 0; gpuLayers <= (gpu === undefined ? 0 : layers); gpuLayers++) {
        const share = { device, layers, gpuLayers }
        for (const rest of everyShare(others, nLayers - layers, rounds)) yield [share, ...rest]
      }
    }
  }
}
