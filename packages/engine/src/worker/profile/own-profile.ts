/**
 * What this device tells of itself: measured or remembered, for the model that the room runs, and kept true while it
 * works: how fast layers really stream, whether it is out of sight, low on battery or warm.
 *
 * @module
 */
import type { DeviceId, DeviceProfile, GpuProfile, HopTimes, ModelProfile } from '@hearth/halda'
import type { Backend } from '../../backend/backend.ts'
import type { Abilities } from '../../page/cluster.ts'
import type { RoomView } from '../../protocol.ts'
import type { ReaderStats } from '../../store/measured-reader.ts'
import type { OwnGpu } from '../own-gpu.ts'
import type { GpuSpeed } from './gpu-speed.ts'
import type { KeptMeasurements } from './kept-measurements.ts'
import type { ComputeSpeed, MeasuredDevice } from './measure.ts'
import { median } from '../../median.ts'
import { createHeat, slowdownOf, slowed, type Conditions } from './slowdown.ts'

/** So much must have streamed before its rate takes the place of the measured one. */
const streamedBytes = 256e6
/** Rates are told anew when they changed by this much. */
const worthTelling = 0.15
/** Tokens whose median says what a head takes. */
const headTokens = 16

export type OwnProfileOptions = {
  me: DeviceId
  backend: Pick<Backend, 'detail' | 'threads' | 'memoryBytes'>
  memoryBytes: number
  kept: KeptMeasurements
  /** Both within so much memory. */
  measureDevice(mostBytes: number): Promise<MeasuredDevice>
  measureForModel(model: ModelProfile, mostBytes: number): Promise<ComputeSpeed>
  gpu: Pick<OwnGpu, 'name' | 'budgetBytes'> & {
    /** For a model, or for most of them. @returns null where no layer can run on it */
    measure(model: ModelProfile | null): Promise<GpuSpeed | null>
    /** What of its budget the planner may count on. */
    roomBytes(budgetBytes: number, model: ModelProfile | null): number
  }
  /** Hop times, and what to assume of devices that they do not name. */
  hops(): {
    times: Record<DeviceId, HopTimes>
    assumedMs: number
    /** What a hop takes longer than that while a ring answers. */
    busyMs: number
  }
  /** To the server. */
  tell(profile: DeviceProfile): void
  /** A measurement that nobody waits for went wrong. */
  onproblem(thrown: unknown): void
  /** To the page. */
  report(abilities: Abilities): void
}

export interface OwnProfile {
  /** Measures, unless a measurement of this browser is less than a day old. */
  start(): Promise<void>
  /** Measures for the room's model, once for each. */
  follow(room: RoomView): void
  measureAgain(): Promise<void>
  setMemory(bytes: number): void
  /** Another budget, or the GPU failed. */
  gpuChanged(): void
  setConditions(conditions: Conditions): void
  /** This device ran layers for one token behind so many others. */
  noteRun(run: { layers: number; position: number; ms: number }): void
  /** This device, as head, took so long for one token besides its layers. */
  noteHead(ms: number): void
  noteReads(stats: ReaderStats): void
  hopsChanged(): void
  isMeasuring(): boolean
}

/** Reading the output's weights once, as fast as they were measured. */
const outputMs = ({ outputBytes }: ModelProfile, { weightBytesPerSec }: ComputeSpeed): number =>
  Object.entries(outputBytes).reduce(
    (ms, [type, bytes]) => ms + (bytes * 1000) / (weightBytesPerSec[type] ?? Infinity),
    0,
  )

export function createOwnProfile(options: OwnProfileOptions): OwnProfile {
  const { me, backend, kept, measureDevice, measureForModel, gpu, hops, tell, report, onproblem } = options
  const heat = createHeat()
  let memoryBytes = options.memoryBytes
  let conditions: Conditions = { isHidden: false, isBatteryLow: false }
  let device: MeasuredDevice | null = null
  let model: ModelProfile | null = null
  let forModel: (ComputeSpeed & { measuredAtMs: number }) | null = null
  let gpuDevice: GpuSpeed | null = null
  let gpuForModel: GpuSpeed | null = null
  let streamedBytesPerSec: number | null = null
  /** As answers really took, since the model was chosen. */
  let headFixedMs: number | null = null
  let headMs: number[] = []
  let told = ''
  /** One measurement at a time. */
  let measuring: Promise<unknown> = Promise.resolve()
  let underWay = 0

  const deviceKey = 'device'
  const keyOf = ({ name, nLayers, dim, outputBytes, layerBytes }: ModelProfile) =>
    `model ${JSON.stringify([name, nLayers, dim, layerBytes[0], outputBytes])}`

  /** The budget holds while measuring, too; half of what is left, as caches and scratch come on top. */
  const spareBytes = () => (memoryBytes - backend.memoryBytes()) / 2

  function inTurn<T>(act: () => Promise<T>): Promise<T> {
    underWay++
    const result = measuring.then(act).finally(() => underWay--)
    measuring = result.catch(() => {})
    return result
  }

  async function measureAll(afresh: boolean): Promise<void> {
    const known = afresh ? null : await kept.get<MeasuredDevice>(deviceKey)
    device = known ?? (await measureDevice(spareBytes()))
    if (!known) await kept.put(deviceKey, device)
    if (afresh) streamedBytesPerSec = headFixedMs = null
    await measureGpu(null, afresh)
    if (model) await measureModel(model, afresh)
  }

  /** Tells what is known without it first, if it must be measured: that takes a while. */
  async function measureGpu(wanted: ModelProfile | null, afresh: boolean): Promise<void> {
    const name = await gpu.name()
    const key = `gpu ${name} ${wanted ? keyOf(wanted) : deviceKey}`
    let speed = afresh || name === null ? null : await kept.get<GpuSpeed>(key)
    if (speed === null && name !== null) {
      update()
      speed = await gpu.measure(wanted)
      if (speed) await kept.put(key, speed)
    }
    if (wanted === null) gpuDevice = speed
    else if (model === wanted) gpuForModel = speed
    update()
  }

  async function measureModel(wanted: ModelProfile, afresh: boolean): Promise<void> {
    const key = keyOf(wanted)
    const known = afresh ? null : await kept.get<ComputeSpeed & { measuredAtMs: number }>(key)
    const measured = known ?? { ...(await measureForModel(wanted, spareBytes())), measuredAtMs: Date.now() }
    if (!known) await kept.put(key, measured)
    if (model !== wanted) return
    forModel = measured
    await measureGpu(wanted, afresh)
  }

  function gpuProfile(): GpuProfile | null {
    const speed = gpuForModel ?? gpuDevice
    const memoryBytes = gpu.roomBytes(gpu.budgetBytes(), model)
    if (speed === null || memoryBytes < 1) return null
    const { copyMs } = speed
    return {
      memoryBytes,
      weightBytesPerSec: { ...gpuDevice?.weightBytesPerSec, ...gpuForModel?.weightBytesPerSec },
      prefillBytesPerSec: { ...gpuDevice?.prefillBytesPerSec, ...gpuForModel?.prefillBytesPerSec },
      copyMs,
    }
  }

  /** Tells what is known now, if it is news. */
  function update(): void {
    if (!device) return
    const slowdown = slowdownOf(conditions, heat.factor())
    const { times, assumedMs, busyMs } = hops()
    const onGpu = gpuProfile()
    const speed = {
      ...device,
      ...forModel,
      weightBytesPerSec: { ...device.weightBytesPerSec, ...forModel?.weightBytesPerSec },
      prefillBytesPerSec: { ...device.prefillBytesPerSec, ...forModel?.prefillBytesPerSec },
      headFixedMs: headFixedMs ?? forModel?.headFixedMs ?? device.headFixedMs,
      diskReadBytesPerSec: streamedBytesPerSec ?? device.diskReadBytesPerSec,
      diskMeasured: streamedBytesPerSec === null ? ('warm' as const) : ('streamed' as const),
    }
    const profile = slowed(
      {
        device: me,
        memoryBytes,
        ...speed,
        ...(onGpu && { gpu: onGpu }),
        hopMs: Object.fromEntries(Object.entries(times).map(([peer, { rowMs }]) => [peer, rowMs + busyMs])),
        hops: times,
        defaultHopMs: assumedMs + busyMs,
      },
      slowdown,
    )
    const news = JSON.stringify(profile)
    if (news === told) return
    told = news
    report({
      compute: backend.detail,
      threads: backend.threads,
      ...speed,
      gpu: onGpu,
      slowdown: slowdown ?? null,
    })
    tell(profile)
  }

  return {
    start: () => inTurn(() => measureAll(false)),
    follow({ choice }) {
      const next = choice?.profile ?? null
      if (next === null || (model && keyOf(next) === keyOf(model))) return
      model = next
      forModel = gpuForModel = null
      headFixedMs = null
      headMs = []
      heat.reset()
      inTurn(async () => {
        if (device && model === next) await measureModel(next, false)
      }).catch(onproblem)
    },
    measureAgain: () => inTurn(() => measureAll(true)),
    setMemory(bytes) {
      memoryBytes = bytes
      update()
    },
    gpuChanged() {
      update()
      if (gpu.budgetBytes() === 0 || gpuDevice) return
      inTurn(async () => {
        if (!device || gpuDevice) return
        await measureGpu(null, false)
        if (model) await measureGpu(model, false)
      }).catch(onproblem)
    },
    setConditions(next) {
      conditions = next
      update()
    },
    noteRun({ layers, position, ms }) {
      const { kvReadBytesPerSec } = forModel ?? device ?? {}
      if (!model || !kvReadBytesPerSec) return
      const before = heat.factor()
      heat.note(ms / layers - (position * model.kvBytesPerPosition * 1000) / kvReadBytesPerSec)
      if (heat.factor() !== before) update()
    },
    noteHead(ms) {
      if (!model || !forModel || heat.factor() > 1) return
      headMs.push(ms)
      if (headMs.length < headTokens) return
      const fixedMs = median(headMs) - outputMs(model, forModel)
      headMs = []
      const before = headFixedMs ?? forModel.headFixedMs
      if (fixedMs <= 0 || Math.abs(fixedMs / before - 1) < worthTelling) return
      headFixedMs = fixedMs
      update()
    },
    noteReads({ readBytes, readingMs }) {
      if (readBytes < streamedBytes || readingMs === 0) return
      const bytesPerSec = Math.round((readBytes * 1000) / readingMs)
      if (Math.abs(bytesPerSec / (streamedBytesPerSec ?? Infinity) - 1) < worthTelling) return
      streamedBytesPerSec = bytesPerSec
      update()
    },
    hopsChanged: update,
    isMeasuring: () => underWay > 0,
  }
}
