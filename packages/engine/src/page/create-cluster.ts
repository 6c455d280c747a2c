/**
 * This tab's part in a room: the socket to the server, the connections to the other devices, the engine in its worker,
 * and one state that shows them all.
 *
 * @module
 */
import type { DeviceId, DeviceProfile } from '@hearth/halda'
import { EngineError, toEngineError } from '../errors.ts'
import type { DeviceStatus, RoomId } from '../protocol.ts'
import type { AnswerEvent, EngineEvent, EngineReport } from '../worker/messages.ts'
import { createAnswers } from './answers.ts'
import type { Cluster, ClusterState, CreateClusterOptions } from './cluster.ts'
import { watchConditions } from './conditions.ts'
import { claimDeviceId, defaultName } from './device-id.ts'
import { createDoor } from './door.ts'
import { startEngineWorker, type EngineWorker } from './engine-worker.ts'
import { defaultGpuBudget, defaultMemoryBudget, missingFeatures } from './features.ts'
import { createJoinSecret, deriveRoomKeys, secretOf, toFragment, type JoinSecret } from './join-secret.ts'
import { fetchOfferedModels } from './offered-models.ts'
import { readinessOf } from './readiness.ts'
import { createRemembered, nameFrom } from './remembered.ts'
import { enterRoom, type RoomSession } from './room-session.ts'
import { findWayIn } from './way-in.ts'

const notifyEveryMs = 16

/** @throws nothing: what is missing is told in the state */
export async function createCluster(options: CreateClusterOptions): Promise<Cluster> {
  const { origin } = options.location
  const missing = await missingFeatures()
  const isAble = missing.every(({ severity }) => severity !== 'blocks')
  const device = isAble ? await claimDeviceId() : ('nobody-here' as DeviceId)
  /** A browser that blocks storage throws at the sight of it. */
  const remembered = createRemembered(isAble ? localStorage : null)
  const listeners = new Set<(state: ClusterState) => void>()
  const answers = createAnswers()
  const door = createDoor({ generate, send: (message) => session?.send(message) })
  let session: RoomSession | null = null
  let room: RoomId | null = null
  let engine: EngineWorker | null = null
  let stopped: EngineError | null = null
  /** What the engine last told the server: said again on every connection. */
  let status: DeviceStatus = { phase: 'idle' }
  let profile: DeviceProfile | null = null
  let notifying = false

  let state: ClusterState = {
    device,
    name: remembered.name() ?? defaultName(navigator.userAgent),
    missing,
    abilities: null,
    memoryBudgetBytes: options.memoryBudgetBytes ?? remembered.memoryBudgetBytes() ?? defaultMemoryBudget(),
    gpuBudgetBytes: options.gpuBudgetBytes ?? remembered.gpuBudgetBytes() ?? defaultGpuBudget(),
    gpu: null,
    memoryBytes: 0,
    peakMemoryBytes: 0,
    reservedBytes: 0,
    pressure: 0,
    peakPressure: 0,
    streaming: null,
    downloadedBytes: 0,
    droppedFrames: 0,
    connection: { phase: 'connecting' },
    joinLink: null,
    joinReach: 'everybody',
    door: { isOpen: false, baseUrl: `${origin}/v1`, key: null },
    room: null,
    readiness: { phase: 'no-model' },
    links: {},
    storage: { models: [], usedBytes: 0, quotaBytes: null, persisted: false },
    problem: null,
  }

  function change(changes: Partial<ClusterState>): void {
    state = { ...state, ...changes }
    const links = session?.links(state.room) ?? {}
    state = { ...state, links, readiness: readinessOf(device, state.room, links) }
    if (notifying) return
    notifying = true
    setTimeout(() => {
      notifying = false
      for (const listener of listeners) listener(state)
    }, notifyEveryMs)
  }

  const onProblem = (thrown: unknown) => change({ problem: toEngineError(thrown) })

  // ── the engine ──────────────────────────────────────────────────────────────────────────────────────────────────

  function onEngineEvent(event: EngineEvent): void {
    if (event.type === 'to-server') {
      if (event.message.type === 'status') status = event.message.status
      if (event.message.type === 'profile') profile = event.message.profile
      session?.send(event.message)
    } else if (event.type === 'control') session?.sendControl(event.to, event.message)
    else if (event.type === 'chat') answers.receive(event.event)
    else if (event.type === 'report') change(event.report satisfies Partial<EngineReport>)
    else if (event.type === 'problem') change({ problem: new EngineError(event.code, event.message) })
  }

  /** Leaves, so that nobody waits for a device that cannot go on. */
  function onEngineStopped(problem: EngineError): void {
    engine = null
    stopped = problem
    leave()
    answers.fail(problem)
    change({ problem, room: null })
  }

  if (isAble) {
    engine = startEngineWorker(
      {
        device,
        origin,
        dtype: options.dtype ?? 'f16',
        memoryBudgetBytes: state.memoryBudgetBytes,
        gpuBudgetBytes: state.gpuBudgetBytes,
        takesSoftwareGpu: options.takesSoftwareGpu ?? false,
        backend: options.backend ?? 'wasm',
        ...(options.threads === undefined ? {} : { threads: options.threads }),
        ...(options.diskBytesPerSec === undefined ? {} : { diskBytesPerSec: options.diskBytesPerSec }),
        ...(options.readsAhead === undefined ? {} : { readsAhead: options.readsAhead }),
      },
      onEngineEvent,
      onEngineStopped,
    )
  }

  /** The others need not wait for a silence to know that this page is gone; the server keeps its seat for a reload. */
  const onPageHide = () => session?.hide()
  addEventListener('pagehide', onPageHide)

  const unwatch = isAble
    ? watchConditions((conditions) => engine?.send({ type: 'conditions', conditions }))
    : () => {}

  // ── the room ────────────────────────────────────────────────────────────────────────────────────────────────────

  async function enter(worker: EngineWorker, secret: JoinSecret, mayOpen: boolean): Promise<void> {
    const wayIn = findWayIn(origin)
    const keys = await deriveRoomKeys(secret)
    if (engine !== worker) return
    leave()
    room = keys.room
    change({ door: { ...state.door, isOpen: remembered.isDoorOf(room), key: keys.apiKey } })
    const entered = enterRoom({
      device,
      origin,
      keys,
      mayOpen,
      connects: missing.every(({ feature }) => feature !== 'webrtc'),
      engine: worker,
      remembered,
      introduce: () => ({
        name: state.name,
        memory: {
          ...(state.room?.choice ? { choice: state.room.choice } : {}),
          ...(state.room?.numbered ? { numbered: state.room.numbered } : {}),
        },
        ...(profile ? { profile } : {}),
        status,
        door: { keyHash: keys.apiKeyHash, isOpen: state.door.isOpen },
      }),
      onquestion: (message) => door.receive(message, state.door.isOpen),
      onroom(room) {
        change({ room })
        if (state.joinLink === null) void wayIn.then(tellJoinLink)
      },
      onconnection(connection) {
        if (connection.phase !== 'online') door.hangUp()
        const isNews = connection.phase !== state.connection.phase || connection.phase === 'offline'
        if (isNews) change({ connection })
      },
      onlinks: () => change({}),
      onproblem: onProblem,
    })
    const tellJoinLink = (way: Awaited<typeof wayIn>) => {
      if (session === entered)
        change({ joinLink: `${way.origin}/${toFragment(secret)}`, joinReach: way.reach })
    }
    session = entered
    change({ joinLink: null, room: null, connection: { phase: 'connecting' } })
  }

  function leave(): void {
    door.hangUp()
    session?.leave()
    session = null
  }

  async function newRoom(): Promise<void> {
    if (!engine) return
    const secret = createJoinSecret()
    options.setFragment(toFragment(secret))
    await enter(engine, secret, true)
  }

  if (engine) {
    const secret = secretOf(options.location.href)
    if (secret === 'none') await newRoom()
    else if (secret !== 'malformed') await enter(engine, secret, false)
    else {
      const message =
        'This is not a whole join link: the part after # was cut or changed. Scan the QR code again, or ask for the link.'
      change({ connection: { phase: 'refused', code: 'malformed', message } })
    }
  }

  // ── what the page may ask ───────────────────────────────────────────────────────────────────────────────────────

  function needEngine(): EngineWorker {
    if (engine) return engine
    if (stopped) throw stopped
    const blocking = missing.find(({ severity }) => severity === 'blocks')
    throw new EngineError(
      blocking?.feature === 'secure-context' ? 'insecure-context' : 'storage-unavailable',
      blocking?.message ?? '',
    )
  }

  async function* generate(
    ...[chat, messages, generateOptions, signal]: Parameters<Cluster['generate']>
  ): AsyncIterable<AnswerEvent> {
    const worker = needEngine()
    const abort = () => worker.send({ type: 'ask', request: { type: 'abort', chat } })
    signal?.addEventListener('abort', abort)
    const events = answers.open(chat)
    worker.send({ type: 'ask', request: { type: 'generate', chat, messages, options: generateOptions } })
    try {
      yield* events
    } finally {
      signal?.removeEventListener('abort', abort)
      if (answers.close(chat)) abort()
    }
  }

  return {
    state: () => state,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    offeredModels: () => fetchOfferedModels(origin),
    async choose(source, request = { split: 'fastest' }) {
      // Granted silently or not at all by Chromium and Safari; Firefox asks, and this is the moment to.
      void navigator.storage.persist()
      const choice = await needEngine().call({ type: 'inspect', source })
      if (choice) session?.send({ type: 'choose', choice: { ...choice, request } })
    },
    generate,
    rename(wanted) {
      const name = nameFrom(wanted)
      if (name === null) return
      remembered.keepName(name)
      change({ name })
      session?.send({ type: 'rename', name })
    },
    setMemoryBudget(memoryBudgetBytes) {
      remembered.keepMemoryBudget(memoryBudgetBytes)
      change({ memoryBudgetBytes })
      engine?.send({ type: 'budget', memoryBudgetBytes })
    },
    setGpuBudget(gpuBudgetBytes) {
      remembered.keepGpuBudget(gpuBudgetBytes)
      change({ gpuBudgetBytes })
      engine?.send({ type: 'gpu-budget', gpuBudgetBytes })
    },
    setDoor(isOpen) {
      if (room === null) return
      remembered.keepDoor(room, isOpen)
      change({ door: { ...state.door, isOpen } })
      session?.send({ type: 'door', isOpen })
      if (!isOpen) door.hangUp()
    },
    async measureAgain() {
      change({ abilities: null })
      await needEngine().call({ type: 'measure' })
    },
    async removeModel(model) {
      await needEngine().call({ type: 'remove-model', model })
    },
    newRoom,
    close() {
      leave()
      unwatch()
      removeEventListener('pagehide', onPageHide)
      engine?.close()
      engine = null
    },
  }
}
