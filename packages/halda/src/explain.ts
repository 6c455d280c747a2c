/**
 * Why a plan is as it is: what every device holds, what it adds to a token, and what its part (or its absence) is worth.
 *
 * @module
 */
import { createPricer, type DeviceCost } from './cost.ts'
import { largestLayerBytes } from './layer-bytes.ts'
import { formatBytes } from './sentence.ts'
import { planExact, planWith } from './solve-exact.ts'
import { bufferBytes, headMemoryBytes, layerKvBytes, nsPerMs } from './symbols.ts'
import type { DeviceId, DeviceProfile, ModelProfile, Plan, PlanResult, Workload } from './types.ts'

export type ExplainedDevice = {
  device: DeviceId
  isHead: boolean
  layers: number
  /** Of them, on its GPU. */
  gpuLayers: number
  /** Layers, and on the head pieces of the output, that stay in memory, and that are read for every token. */
  pinned: number
  streamed: number
  /** Its windows as a person counts them: "0–15, 32–47"; empty without layers. */
  windows: string
  /** All of its part, which may be more than the budget. */
  memoryBytes: number
  /** What it will hold of that. */
  filledBytes: number
  budgetBytes: number
  /** ms of every token: its layers, and on the head the output. */
  computeMs: number
  outputMs: number
  /** All hops that leave it during one token, and how many they are. */
  hopMs: number
  hops: number
  /** ms of every token that all wait for its store. */
  waitMs: number
  /** Of the token's time, 0…1: computing, output, hops and waiting. */
  share: number
  /** What would change without it, or why it has no part: a sentence without its name. */
  why: string
  /** How much longer a token would take without it, or, where it has no part, with one; null when that cannot be. */
  changeMs: number | null
  /** What more memory would save; null where it would save nothing. */
  memoryAdvice: string | null
}

/** Plain data, so that a page can draw it; fields are added, not changed. */
export type Explanation = {
  /** Every device, in the order given. */
  devices: ExplainedDevice[]
  hops: number
  rounds: number
  tpotMs: number
  /** From a prompt to its first token; far too long where no batched rate was measured. */
  ttftMs: number
  /** What was assumed rather than measured. */
  notes: string[]
}

/**
 * Plans once more for every device, with it when it has no part, without it when it has, and for every one that streams
 * with more memory. Takes as long as that.
 *
 * @param plan of these devices and this model; any planner's
 */
export function explain(
  plan: Plan,
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  workload: Workload = {},
): Explanation {
  const cost = createPricer(devices, model, workload)(plan)
  const tpotMs = cost.tpotNs / nsPerMs
  return {
    devices: cost.devices.map((part) => {
      const isHead = part.device === plan.head
      const isMember = part.layers > 0 || isHead
      const change = isMember
        ? changeWithout(part, devices, model, workload, tpotMs)
        : changeWith(part, devices, model, workload, tpotMs)
      const ownNs = part.computeNs + part.outputNs + part.hopNs + part.waitNs
      return {
        device: part.device,
        isHead,
        layers: part.layers,
        gpuLayers: part.gpuLayers,
        pinned: part.pinnedUnits,
        streamed: part.streamedUnits,
        windows: windowsOf(plan, part.device),
        memoryBytes: part.memoryBytes,
        filledBytes: filledBytes(part),
        budgetBytes: part.budgetBytes,
        computeMs: part.computeNs / nsPerMs,
        outputMs: part.outputNs / nsPerMs,
        hopMs: part.hopNs / nsPerMs,
        hops: part.hops,
        waitMs: part.waitNs / nsPerMs,
        share: ownNs / cost.tpotNs,
        ...change,
        memoryAdvice:
          part.streamedUnits === 0 ? null : memoryAdvice(part, isHead, devices, model, workload, tpotMs),
      }
    }),
    hops: cost.hops,
    rounds: plan.rounds,
    tpotMs,
    ttftMs: cost.ttftNs / nsPerMs,
    notes: notMeasured(devices, model),
  }
}

const filledBytes = ({ memoryBytes, residentBytes, budgetBytes }: DeviceCost): number =>
  memoryBytes <= budgetBytes ? memoryBytes : Math.min(residentBytes, budgetBytes)

type Change = Pick<ExplainedDevice, 'why' | 'changeMs'>

function changeWithout(
  { device }: DeviceCost,
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  workload: Workload,
  tpotMs: number,
): Change {
  const others = devices.filter((each) => each.device !== device)
  const without = planExact(others, model, workload)
  if (!without.ok) return { why: 'without it the model does not fit', changeMs: null }
  const changeMs = changeOf(without, tpotMs)
  return { why: `without it a token would take ${inWords(changeMs)}`, changeMs }
}

function changeWith(
  { device }: DeviceCost,
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  workload: Workload,
  tpotMs: number,
): Change {
  const withIt = planWith(devices, model, device, workload)
  if (!withIt.ok) return { why: 'no part of this model fits in its memory', changeMs: null }
  const changeMs = changeOf(withIt, tpotMs)
  return { why: `with a part for it a token would take ${inWords(changeMs)}`, changeMs }
}

/** With room for all of its part, each layer as large as the largest. */
function memoryAdvice(
  part: DeviceCost,
  isHead: boolean,
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  workload: Workload,
  tpotMs: number,
): string | null {
  const memoryBytes =
    bufferBytes(model) +
    part.layers * (largestLayerBytes(model) + layerKvBytes(model, workload)) +
    (isHead ? headMemoryBytes(model) : 0)
  const roomier = devices.map((each) => (each.device === part.device ? { ...each, memoryBytes } : each))
  const better = planExact(roomier, model, workload)
  const changeMs = better.ok ? changeOf(better, tpotMs) : 0
  return changeMs < -noticeableMs
    ? `with ${formatBytes(memoryBytes)} a token would take ${inWords(changeMs)}`
    : null
}

/** Less is said to be no change. */
const noticeableMs = 0.05

const changeOf = (result: PlanResult & { ok: true }, tpotMs: number): number =>
  result.plan.predictedTpotMs - tpotMs

const inWords = (changeMs: number): string =>
  Math.abs(changeMs) < noticeableMs
    ? 'as long'
    : `${formatMs(Math.abs(changeMs))} ${changeMs > 0 ? 'more' : 'less'}`

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

/** "16 (0–15)", "16 (0–15), 5 read" */
const layersInWords = ({ layers, gpuLayers, windows, streamed }: ExplainedDevice): string =>
  [
    `${layers} (${windows})`,
    ...(gpuLayers === 0 ? [] : [`${gpuLayers} on its GPU`]),
    ...(streamed === 0 ? [] : [`${streamed} read`]),
  ].join(', ')

/** "12.3 ms" */
const formatMs = (ms: number): string => `${ms.toFixed(1)} ms`

/** The explanation as text of aligned columns, one line per device, the sum below. */
export function formatExplanation({ devices, hops, rounds, tpotMs, notes }: Explanation): string {
  const head = ['device', '', 'layers', 'memory of budget', 'compute', 'output', 'hops', 'waits', 'why']
  const rows = devices.map((row) => [
    row.device,
    row.isHead ? 'head' : '',
    row.layers === 0 ? '–' : layersInWords(row),
    `${row.filledBytes === 0 ? '–' : formatBytes(row.filledBytes)} of ${formatBytes(row.budgetBytes)}`,
    row.layers === 0 ? '–' : formatMs(row.computeMs),
    row.isHead ? formatMs(row.outputMs) : '–',
    row.hops === 0 ? '–' : `${row.hops} × ${formatMs(row.hopMs / row.hops)}`,
    row.streamed === 0 ? '–' : formatMs(row.waitMs),
    [row.why, ...(row.memoryAdvice === null ? [] : [row.memoryAdvice])].join('; '),
  ])
  const sum = (field: 'computeMs' | 'outputMs' | 'hopMs' | 'waitMs' | 'layers') =>
    devices.reduce((total, row) => total + row[field], 0)
  const last = [
    'all',
    '',
    `${sum('layers')}`,
    formatBytes(devices.reduce((total, row) => total + row.filledBytes, 0)),
    formatMs(sum('computeMs')),
    formatMs(sum('outputMs')),
    `${hops}, ${formatMs(sum('hopMs'))}`,
    formatMs(sum('waitMs')),
    `${formatMs(tpotMs)} per token in ${rounds === 1 ? 'one round' : `${rounds} rounds`}, ${(1000 / tpotMs).toFixed(1)} tokens per second`,
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
