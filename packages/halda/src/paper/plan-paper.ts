/**
 * Halda as published, asked to plan for devices that measured themselves as Hearth's do.
 *
 * @module
 */
import { checkProfiles } from '../check.ts'
import { meanLayerBytes, totalBytes } from '../layer-bytes.ts'
import {
  alphaNs,
  bufferBytes,
  decodePass,
  headMemoryBytes,
  kappaNs,
  layerKvBytes,
  nsPerMs,
} from '../symbols.ts'
import { planManual } from '../solve-manual.ts'
import type { DeviceId, DeviceProfile, ModelProfile, PlanResult } from '../types.ts'
import { solveWithHighs } from './highs.ts'
import type { PaperProblem } from './paper-problem.ts'
import { solvePaperWithSelection } from './solve-paper.ts'

/**
 * The split that the paper's loop chooses, with its predicted TPOT by Hearth's cost. The paper takes the head as given
 * and visits it last in every round.
 *
 * @param head the first device when not given
 * @returns 'no-plan' where the paper has no feasible program, or loads a device with more than slots can stream
 */
export async function planPaper(
  devices: readonly DeviceProfile[],
  model: ModelProfile,
  head: DeviceId | undefined = devices[0]?.device,
): Promise<PlanResult> {
  const problem = checkProfiles(devices, model)
  if (problem !== null) return { ok: false, code: 'bad-profile', message: problem }
  const first = devices.find(({ device }) => device === head)
  if (first === undefined)
    return { ok: false, code: 'no-plan', message: `The head ${head} is not among the devices.` }

  const headFirst = [first, ...devices.filter((each) => each !== first)]
  const answer = await solvePaperWithSelection(toPaperProblem(headFirst, model), solveWithHighs)
  if (answer === null) {
    const message =
      'The published algorithm finds no feasible program for these devices; --solver exact may find a plan.'
    return { ok: false, code: 'no-plan', message }
  }
  const { k, w } = answer.split
  return planManual([...headFirst.slice(1), first], model, {
    layers: [...w.slice(1), w[0] ?? 0].map((layers) => k * layers),
    rounds: k,
    head: first.device,
  })
}

/** Layers at their mean size and time, as the paper counts them; no GPUs; every disk is Linux's. */
export function toPaperProblem(devices: readonly DeviceProfile[], model: ModelProfile): PaperProblem {
  const pass = decodePass(model, {})
  const [head] = devices
  const layerBytes = totalBytes(meanLayerBytes(model))
  return {
    nLayers: model.nLayers,
    layerBytes,
    layerMemoryBytes: layerBytes + layerKvBytes(model),
    inputRowBytes: 0,
    outputBytes: headMemoryBytes(model),
    outputMs: head === undefined ? 0 : kappaNs(head, model, pass) / nsPerMs,
    devices: devices.map((device) => ({
      name: device.device,
      os: 'linux',
      gpu: 'none',
      alphaMs: alphaNs(device, model, pass) / nsPerMs,
      betaMs: 0,
      xiMs: device.defaultHopMs,
      ramBytes: device.memoryBytes,
      gpuBytes: 0,
      cpuBufferBytes: bufferBytes(model),
      gpuBufferBytes: 0,
      diskBytesPerSec: device.diskReadBytesPerSec,
    })),
  }
}
