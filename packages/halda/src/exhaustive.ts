/**
 * The judge: tries every plan of one round and asks `cost.ts` for the price of each. For clusters of up to four devices
 * and ten layers or so; it shares nothing with the search that it judges.
 *
 * @module
 */
import { checkProfiles } from './check.ts'
import { nsPerMs, planCost } from './cost.ts'
import { noPlanSentence } from './sentence.ts'
import type { DeviceId, LayerWindow, Plan, PlanResult, Planner } from './types.ts'

/** Same answer as `planExact`, ties included: fewer devices, then fewer hops. */
export const planExhaustive: Planner = (devices, model): PlanResult => {
  const problem = checkProfiles(devices, model)
  if (problem !== null) return { ok: false, code: 'bad-profile', message: problem }

  const sorted = devices.toSorted((a, b) => (a.device < b.device ? -1 : 1))
  const ids = sorted.map(({ device }) => device)
  let best: { plan: Plan; price: readonly [number, number, number] } | null = null
  for (const windows of everyCover(ids, 0, model.nLayers)) {
    for (const head of ids) {
      const plan: Plan = { head, rounds: 1, windows, predictedTpotMs: 0 }
      const cost = planCost(plan, sorted, model)
      if (cost.devices.some(({ memoryBytes, budgetBytes }) => memoryBytes > budgetBytes)) continue
      const members = cost.devices.filter(({ memoryBytes }) => memoryBytes > 0).length
      const price = [cost.tpotNs, members, cost.hops] as const
      if (best === null || isLower(price, best.price)) {
        best = { plan: { ...plan, predictedTpotMs: cost.tpotNs / nsPerMs }, price }
      }
    }
  }
  return best === null
    ? { ok: false, code: 'no-plan', message: noPlanSentence(sorted, model) }
    : { ok: true, plan: best.plan }
}

/** Every way for distinct devices to run layers firstLayer…nLayers in consecutive windows. */
function* everyCover(
  devices: readonly DeviceId[],
  firstLayer: number,
  nLayers: number,
): Generator<LayerWindow[]> {
  if (firstLayer === nLayers) yield []
  for (const device of devices) {
    const others = devices.filter((each) => each !== device)
    for (let layers = 1; firstLayer + layers <= nLayers; layers++) {
      const window = { device, firstLayer, layers, gpuLayers: 0 }
      for (const rest of everyCover(others, firstLayer + layers, nLayers)) yield [window, ...rest]
    }
  }
}

function isLower(a: readonly number[], b: readonly number[]): boolean {
  const index = a.findIndex((value, i) => value !== b[i])
  return index !== -1 && (a[index] ?? 0) < (b[index] ?? 0)
}
