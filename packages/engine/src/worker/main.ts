/**
 * The engine worker: what the page asks goes to the device, what the device says goes to the page.
 *
 * @module
 */
import { createReferenceBackend } from '../backend/reference.ts'
import type { Backend } from '../backend/backend.ts'
import { createMeasuredBackend } from '../backend/wasm-thread-count.ts'
import { createWasmBackend } from '../backend/wasm.ts'
import { createWebHost } from '../backend/wasm-host-web.ts'
import { EngineError, toEngineError } from '../errors.ts'
import { findGpu } from '../gpu/open-gpu.ts'
import type { ModelChoice } from '../protocol.ts'
import { createChannelLink, createPortLink } from '../ring/channel-link.ts'
import { createProbedLink } from '../ring/probed-link.ts'
import { createIdbCatalogue } from '../store/idb-catalogue.ts'
import { removeModel, storedModels } from '../store/inventory.ts'
import { createOpfsStore } from '../store/opfs-store.ts'
import type { Shelf } from '../store/piece-writer.ts'
import { createMeasuredReader, type MeasuredReader } from '../store/measured-reader.ts'
import { createWorkerReader } from '../store/worker-reader.ts'
import { createDevice, type Device } from './device.ts'
import { createHopTimer, type HopTimer } from './hop-times.ts'
import { createMemoryWatch } from './memory-watch.ts'
import type { EngineCall, EngineEvent, EngineReport, EngineRequest, StartOptions } from './messages.ts'
import { inspectModel, type ModelPlace } from './open-model.ts'
import { createOwnGpu, type OwnGpu } from './own-gpu.ts'
import type { LentReader } from './profile/disk-speed.ts'
import { gpuRoomBytes } from './profile/gpu-room.ts'
import { measureGpu } from './profile/gpu-speed.ts'
import { createKeptMeasurements } from './profile/kept-measurements.ts'
import { measureDevice, measureForModel } from './profile/measure.ts'
import { createOwnProfile, type OwnProfile } from './profile/own-profile.ts'

const memoryReportMs = 200
const maxThreads = 8

const post = (event: EngineEvent) => postMessage(event)
const report = (changes: Partial<EngineReport>) => post({ type: 'report', report: changes })

type Engine = {
  device: Device
  backend: Backend
  place: ModelPlace
  shelf: Shelf
  gpu: OwnGpu
  hops: HopTimer
  profile: OwnProfile
}

let engine: Promise<Engine> | null = null
let budgetBytes = 0

addEventListener('message', ({ data: request }: MessageEvent<EngineRequest>) => {
  if (request.type === 'start') {
    engine = start(request.options)
    engine.then(({ profile }) => profile.start()).catch(problem)
    return
  }
  engine
    ?.then(
      (running) => handle(running, request),
      // That the engine could not start was told once; who waits for a reply is told again.
      (thrown) => ('id' in request ? refuse(request.id, thrown) : undefined),
    )
    .catch(problem)
})

function problem(thrown: unknown): void {
  const { code, message } = toEngineError(thrown)
  post({ type: 'problem', code, message })
}

async function start({
  device: me,
  origin,
  dtype,
  backend: kind,
  threads: wanted,
  memoryBudgetBytes,
  gpuBudgetBytes,
  takesSoftwareGpu,
  diskBytesPerSec,
  readsAhead = true,
}: StartOptions): Promise<Engine> {
  budgetBytes = memoryBudgetBytes
  const backend = kind === 'reference' ? await createReferenceBackend() : await createFastBackend(wanted)
  const shelf = { store: await createOpfsStore(), catalogue: await createIdbCatalogue() }
  let downloadedBytes = 0
  const place: ModelPlace = {
    shelf,
    packing: backend.packing,
    origin,
    onfetched(bytes) {
      downloadedBytes += bytes
      report({ downloadedBytes })
    },
  }
  const gpu = createOwnGpu({
    // Layers go to the GPU from the layout of the fast kernels.
    find: async () => (kind === 'reference' ? null : findGpu({ takesSoftware: takesSoftwareGpu })),
    budgetBytes: gpuBudgetBytes,
    onchange(view) {
      report({ gpu: view })
      if (view?.problem) post({ type: 'problem', code: 'gpu-lost', message: view.problem })
      profile.gpuChanged()
    },
  })
  const reader = createMeasuredReader(openReader(diskBytesPerSec).reader)
  const device = createDevice({
    me,
    dtype,
    backend,
    place,
    reader,
    readsAhead,
    gpu,
    memoryBudgetBytes,
    onstatus: (status) => post({ type: 'to-server', message: { type: 'status', status } }),
    sendControl: (to, message) => post({ type: 'control', to, message }),
    onchat: (event) => post({ type: 'chat', event }),
    onmissed: (missed) => post({ type: 'to-server', message: { type: 'unreachable', device: missed } }),
    onholding: () => void reportStorage(shelf, device),
    onran: (run) => profile.noteRun(run),
    onhead: (ms) => profile.noteHead(ms),
    onway: (plan, ms) => hops.noteWay(plan, ms),
  })
  const hops = createHopTimer({
    me,
    dtype,
    tell: (to, times) => post({ type: 'control', to, message: { type: 'hop-times', times } }),
    tellBusy: (peer, ms) => post({ type: 'control', to: peer, message: { type: 'busy-hop', ms } }),
    isBusy: () => profile.isMeasuring(),
    onchange: () => profile.hopsChanged(),
  })
  const profile = createOwnProfile({
    me,
    backend,
    memoryBytes: memoryBudgetBytes,
    kept: createKeptMeasurements({
      browser: navigator.userAgent,
      compute: backend.detail,
      diskBytesPerSec: diskBytesPerSec ?? null,
    }),
    measureDevice: (mostBytes) =>
      measureDevice(backend, shelf.store, () => openReader(diskBytesPerSec), mostBytes),
    measureForModel: (model, mostBytes) => measureForModel(backend, model, mostBytes),
    gpu: {
      ...gpu,
      measure: async (model) => {
        const opened = await gpu.open()
        return opened && measureGpu(opened, backend.packing, model, gpu.budgetBytes() - device.gpuBytes())
      },
      roomBytes: (budgetBytes, model) => gpuRoomBytes(budgetBytes, model, backend.packing),
    },
    hops: () => ({ times: hops.times(), assumedMs: hops.assumedMs(), busyMs: hops.busyMs() }),
    tell: (told) => post({ type: 'to-server', message: { type: 'profile', profile: told } }),
    report: (abilities) => report({ abilities }),
    onproblem: problem,
  })
  watchMemory(backend, device, reader, profile)
  void reportStorage(shelf, device)
  return { device, backend, place, shelf, gpu, hops, profile }
}

/** With as many threads as help, unless told how many. */
function createFastBackend(threads: number | undefined): Promise<Backend> {
  const host = createWebHost()
  // Memory that threads could share is one that the storage worker reads into, without a copy, also for one thread.
  if (threads !== undefined) return createWasmBackend(host, { threads, maxThreads: Math.max(2, threads) })
  return createMeasuredBackend(host, { maxThreads: Math.min(maxThreads, navigator.hardwareConcurrency) })
}

function openReader(diskBytesPerSec: number | undefined): LentReader {
  const worker = new Worker(new URL('../store/reader-worker.ts', import.meta.url), {
    type: 'module',
    name: 'storage',
  })
  return { reader: createWorkerReader(worker, diskBytesPerSec), end: () => worker.terminate() }
}

function watchMemory(backend: Backend, device: Device, reader: MeasuredReader, profile: OwnProfile): void {
  const look = createMemoryWatch(backend, device.bufferBytes, () => budgetBytes)
  let last = -1
  let dropped = 0
  setInterval(() => {
    if (dropped !== device.droppedFrames()) report({ droppedFrames: (dropped = device.droppedFrames()) })
    const memory = look()
    const streaming = device.streaming()
    if (memory.pressure === last && streaming === null) return
    last = memory.pressure
    report({ ...memory, streaming: streaming && { ...streaming, ...reader.stats() } })
    profile.noteReads(reader.stats())
  }, memoryReportMs)
}

function handle(running: Engine, request: Exclude<EngineRequest, { type: 'start' }>): void {
  const { device, gpu, hops, profile } = running
  switch (request.type) {
    case 'room':
      hops.follow(request.room)
      profile.follow(request.room)
      return device.follow(request.room)
    case 'channel': {
      const { peer, channel } = request
      const link = channel instanceof MessagePort ? createPortLink(channel) : createChannelLink(channel)
      return void link.then((open) => {
        const probed = createProbedLink(open)
        hops.add(peer, probed)
        device.addLink(peer, probed)
      })
    }
    case 'peer-closed':
      hops.drop(request.peer)
      return device.dropLink(request.peer)
    case 'control':
      if (request.message.type === 'hop-times') return hops.receive(request.from, request.message.times)
      if (request.message.type === 'busy-hop') return hops.receiveBusy(request.from, request.message.ms)
      return device.receiveControl(request.from, request.message)
    case 'budget':
      budgetBytes = request.memoryBudgetBytes
      device.setMemoryBudget(budgetBytes)
      return profile.setMemory(budgetBytes)
    case 'gpu-budget':
      gpu.setBudget(request.gpuBudgetBytes)
      return profile.gpuChanged()
    case 'conditions':
      return profile.setConditions(request.conditions)
    case 'ask':
      return device.ask(request.request)
    default:
      return void answerCall(running, request)
  }
}

async function answerCall(running: Engine, call: EngineCall): Promise<void> {
  const { id } = call
  try {
    post({ type: 'reply', id, result: await perform(running, call) })
  } catch (thrown) {
    refuse(id, thrown)
  }
}

function refuse(id: number, thrown: unknown): void {
  const { code, message } = toEngineError(thrown)
  post({ type: 'reply-failed', id, code, message })
}

async function perform(running: Engine, call: EngineCall): Promise<ModelChoice | null> {
  const { device, place, shelf } = running
  if (call.type === 'inspect') return inspectModel(call.source, place)
  if (call.type === 'measure') {
    await running.profile.measureAgain()
    running.hops.measure()
  } else {
    if (call.model === device.modelInUse()) {
      throw new EngineError(
        'not-ready',
        'The room runs this model now. Choose another one first, or leave the room.',
      )
    }
    await removeModel(shelf, call.model)
    await reportStorage(shelf, device)
  }
  return null
}

async function reportStorage(shelf: Shelf, device: Device): Promise<void> {
  const models = await storedModels(shelf)
  const { quota = null } = await navigator.storage.estimate()
  report({
    storage: {
      models: models.map(({ model, name, url, storedBytes }) => ({
        model,
        name,
        url,
        storedBytes,
        inUse: model === device.modelInUse(),
      })),
      usedBytes: models.reduce((total, { storedBytes }) => total + storedBytes, 0),
      quotaBytes: quota,
      persisted: await navigator.storage.persisted(),
    },
  })
}
