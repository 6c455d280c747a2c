/**
 * Why a plan is as it is: what every device holds, what it adds to a token, and what its part (or its absence) is worth.
 *
 * @module
 */
import { nsPerMs, planCost, type DeviceCost } from './cost.ts'
import { formatBytes } from './sentence.ts'
import { planExact, planWith } from './solve-exact.ts'
import type { DeviceId, DeviceProfile, ModelProfile, Plan, PlanResult } from './types.ts'

export type ExplainedDevice = {
  device: DeviceId
  isHead: boolean
  layers: number
  /** Its windows as a person counts them: "0–15, 32–47"; empty without layers. */
  windows: string
  memoryBytes: number
  budgetBytes: number
  /** ms of every token: its layers, and on the head the output. */
  computeMs: number
  outputMs: number
  /** All hops that leave it during one token, and how many they are. */
  hopMs: number
  hops: number
  /** What would change without it, or why it has no part: a sentence without its name. */
  why: string
}

export type Explanation = {
  /** Every device, in the order given. */
  devices: ExplainedDevice[]
  hops: number
  tpotMs: number
  /** What was assumed rather than measured. */
  notes: string[]
}

/**
 * Plans once more for every device: with it when it has no part, without it when it has. Takes as long as that.
 *
 * @param plan of these devices and this model; any planner's
 */
export function explain(plan: Plan, devices: readonly DeviceProfile[], model: ModelProfile): Explanation {
  const cost = planCost(plan, devices, model)
  const tpotMs = cost.tpotNs / nsPerMs
  return {
    devices: cost.devices.map((part) => {
      const isMember = part.layers > 0 || part.device === plan.head
      return {
        device: part.device,
        isHead: part.device === plan.head,
        layers: part.layers,
        windows: windowsOf(plan, part.device),
        memoryBytes: part.memoryBytes,
        budgetBytes: part.budgetBytes,
        computeMs: part.computeNs / nsPerMs,
        outputMs: part.outputNs / nsPerMs,
        hopMs: part.hopNs / nsPerMs,
        hops: part.hops,
        why: isMember ? whyIn(part, devices, model, tpotMs) : whyOut(part, devices, model, tpotMs),
      }
    }),
    hops: cost.hops,
    tpotMs,
    notes: notMeasured(devices, model),
  }
}

function whyIn(
  { device }: DeviceCost,
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  tpotMs: number,
): string {
  const others = devices.filter((each) => each.device !== device)
  const without = planExact(others, model)
  if (!without.ok) return 'without it the model does not fit'
  return `without it ${change(without, tpotMs)}`
}

function whyOut(
  { device }: DeviceCost,
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  tpotMs: number,
): string {
  const withIt = planWith(devices, model, device)
  return withIt.ok
    ? `with a part for it ${change(withIt, tpotMs)}`
    : 'no part of this model fits in its memory'
}

function change(result: PlanResult & { ok: true }, tpotMs: number): string {
  const ms = result.plan.predictedTpotMs - tpotMs
  if (Math.abs(ms) < 0.05) return 'a token would take as long'
  return `a token would take ${formatMs(Math.abs(ms))} ${ms > 0 ? 'more' : 'less'}`
}

const windowsOf = (plan: Plan, device: DeviceId): string =>
  plan.windows
    .filter((window) => window.device === device)
    .map(({ firstLayer, layers }) =>
      layers === 1 ? `${firstLayer}` : `${firstLayer}–${firstLayer + layers - 1}`,
    )
    .join(', ')

function notMeasured(devices: readonly DeviceProfile[], model: ModelProfile): string[] {
  const types = new Set([...model.layerBytes, model.outputBytes].flatMap((bytes) => Object.keys(bytes)))
  return devices.flatMap(({ device, weightBytesPerSec }) => {
    const missing = [...types].filter((type) => weightBytesPerSec[type] === undefined).toSorted()
    if (missing.length === 0) return []
    return `${device} has not measured ${missing.join(', ')}; the slowest of its measured rates is taken instead.`
  })
}

/** "12.3 ms" */
const formatMs = (ms: number): string => `${ms.toFixed(1)} ms`

/** The explanation as text of aligned columns, one line per device, the sum below. */
export function formatExplanation({ devices, hops, tpotMs, notes }: Explanation): string {
  const head = ['device', '', 'layers', 'memory of budget', 'compute', 'output', 'hops', 'why']
  const rows = devices.map((row) => [
    row.device,
    row.isHead ? 'head' : '',
    row.layers === 0 ? '–' : `${row.layers} (${row.windows})`,
    `${row.memoryBytes === 0 ? '–' : formatBytes(row.memoryBytes)} of ${formatBytes(row.budgetBytes)}`,
    row.layers === 0 ? '–' : formatMs(row.computeMs),
    row.isHead ? formatMs(row.outputMs) : '–',
    row.hops === 0 ? '–' : `${row.hops} × ${formatMs(row.hopMs / row.hops)}`,
    row.why,
  ])
  const sum = (field: 'computeMs' | 'outputMs' | 'hopMs' | 'layers') =>
    devices.reduce((total, row) => total + row[field], 0)
  const last = [
    'all',
    '',
    `${sum('layers')}`,
    formatBytes(devices.reduce((total, row) => total + row.memoryBytes, 0)),
    formatMs(sum('computeMs')),
    formatMs(sum('outputMs')),
    `${hops}, ${formatMs(sum('hopMs'))}`,
    `${formatMs(tpotMs)} per token, ${(1000 / tpotMs).toFixed(1)} tokens per second`,
  ]
  const table = [head, ...rows, last]
  const widths = head.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return [...lines, ...notes].join('\n')
}
