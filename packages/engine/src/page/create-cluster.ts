/**
 * This tab's part in a room: the socket to the server, the connections to the other devices, the engine in its worker,
 * and one state that shows them all.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'
import * as v from 'valibot'
import { EngineError, toEngineError } from '../errors.ts'
import { maxNameChars, protocolVersion, type ChatEvent, type FromServer } from '../protocol.ts'
import type { EngineEvent, EngineReport } from '../worker/messages.ts'
import { createAnswers } from './answers.ts'
import type { Cluster, ClusterState, CreateClusterOptions, OfferedModel } from './cluster.ts'
import { watchConditions } from './conditions.ts'
import { claimDeviceId, defaultName } from './device-id.ts'
import { startEngineWorker, type EngineWorker } from './engine-worker.ts'
import { defaultMemoryBudget, missingFeatures } from './features.ts'
import {
  createJoinSecret,
  deriveRoomKeys,
  seal,
  secretOf,
  toFragment,
  unseal,
  type JoinSecret,
  type RoomKeys,
} from './join-secret.ts'
import { createMesh, type Mesh } from './mesh.ts'
import { readinessOf } from './readiness.ts'
import { createSignalSocket, type SignalSocket } from './signal-socket.ts'

const nameKey = 'hearth.name'
const budgetKey = 'hearth.memoryBudgetBytes'
/** The room this profile was last in: its devices may open it again after a restart of the server. */
const roomKey = 'hearth.room'
const notifyEveryMs = 16

const OfferedModels = v.array(
  v.object({ name: v.string(), url: v.string(), sizeBytes: v.number(), revision: v.string() }),
)

type Session = { keys: RoomKeys; secret: JoinSecret; socket: SignalSocket; mesh: Mesh | null }

/** @throws nothing: what is missing is told in the state */
export async function createCluster(options: CreateClusterOptions): Promise<Cluster> {
  const { origin } = options.location
  const missing = await missingFeatures()
  const isAble = missing.every(({ severity }) => severity !== 'blocks')
  const device = isAble ? await claimDeviceId() : ('nobody-here' as DeviceId)
  /** A browser that blocks storage throws at the sight of it. */
  const kept = isAble ? localStorage : null
  const listeners = new Set<(state: ClusterState) => void>()
  const answers = createAnswers()
  let session: Session | null = null
  let engine: EngineWorker | null = null
  let status: Extract<EngineEvent, { type: 'to-server' }>['message'] | null = null
  let profile: Extract<EngineEvent, { type: 'to-server' }>['message'] | null = null
  let notifying = false
  /** Signals are read in the order they came. */
  let unsealing = Promise.resolve()

  let state: ClusterState = {
    device,
    name: nameFrom(kept?.getItem(nameKey) ?? '') ?? defaultName(navigator.userAgent),
    missing,
    abilities: null,
    memoryBudgetBytes: options.memoryBudgetBytes ?? rememberedBudget(kept) ?? defaultMemoryBudget(),
    memoryBytes: 0,
    peakMemoryBytes: 0,
    reservedBytes: 0,
    pressure: 0,
    peakPressure: 0,
    streaming: null,
    downloadedBytes: 0,
    connection: { phase: 'connecting' },
    joinLink: null,
    room: null,
    readiness: { phase: 'no-model' },
    links: {},
    storage: { models: [], usedBytes: 0, quotaBytes: null, persisted: false },
    problem: null,
  }

  function change(changes: Partial<ClusterState>): void {
    state = { ...state, ...changes }
    const links = session ? linksOf(session) : {}
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
      if (event.message.type === 'status') status = event.message
      if (event.message.type === 'profile') profile = event.message
      session?.socket.send(event.message)
    } else if (event.type === 'control') session?.mesh?.send(event.to, event.message)
    else if (event.type === 'chat') answers.receive(event.event)
    else if (event.type === 'report') change(event.report satisfies Partial<EngineReport>)
    else if (event.type === 'problem') change({ problem: new EngineError(event.code, event.message) })
  }

  /** Leaves, so that nobody waits for a device that cannot go on. */
  function onEngineStopped(problem: EngineError): void {
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
  const onPageHide = () => session?.mesh?.close()
  addEventListener('pagehide', onPageHide)

  const unwatch = isAble
    ? watchConditions((conditions) => engine?.send({ type: 'conditions', conditions }))
    : () => {}

  // ── the room ────────────────────────────────────────────────────────────────────────────────────────────────────

  async function enter(secret: JoinSecret, mayOpen: boolean): Promise<void> {
    const keys = await deriveRoomKeys(secret)
    leave()
    const socket = createSignalSocket({
      url: `${origin.replace(/^http/, 'ws')}/ws`,
      join: () => ({
        type: 'join',
        version: protocolVersion,
        room: keys.room,
        device,
        name: state.name,
        mayOpen: mayOpen || kept?.getItem(roomKey) === keys.room,
        memory: {
          ...(state.room?.choice ? { choice: state.room.choice } : {}),
          ...(state.room?.numbered ? { numbered: state.room.numbered } : {}),
        },
        ...(profile?.type === 'profile' ? { profile: profile.profile } : {}),
        status: status?.type === 'status' ? status.status : { phase: 'idle' },
      }),
      onmessage: onServerMessage,
      onreplaced: () => {
        const message = 'This device is in the room in another window. Close that one and reload this page.'
        change({ connection: { phase: 'refused', code: 'replaced', message } })
      },
      onphase: (connection) => {
        if (connection.phase !== state.connection.phase || connection.phase === 'offline')
          change({ connection })
      },
    })
    session = { keys, secret, socket, mesh: null }
    session.mesh = missing.some(({ feature }) => feature === 'webrtc') ? null : createRoomMesh(session)
    change({ joinLink: null, room: null, connection: { phase: 'connecting' } })
  }

  function createRoomMesh({ keys, socket }: Session): Mesh {
    let sealing = Promise.resolve()
    return createMesh({
      me: device,
      sendSignal(to, signal) {
        // Ciphers end in any order, but an offer must come before its candidates.
        sealing = sealing
          .then(async () => socket.send({ type: 'signal', to, sealed: await seal(keys, device, to, signal) }))
          .catch(onProblem)
      },
      onring: (peer, channel) => engine?.handOver(peer, channel),
      oncontrol: (from, message) => engine?.send({ type: 'control', from, message }),
      onclosed: (peer) => engine?.send({ type: 'peer-closed', peer }),
      onsilent: (peer) => socket.send({ type: 'unreachable', device: peer }),
      onchange: () => change({}),
    })
  }

  /** A device without WebRTC reaches nobody. */
  function linksOf({ mesh }: Session): ClusterState['links'] {
    if (mesh) return mesh.phases()
    const others = state.room?.devices.filter((other) => other.device !== device) ?? []
    return Object.fromEntries(others.map((other) => [other.device, 'failed' as const]))
  }

  function onServerMessage(message: FromServer): void {
    if (session === null) return
    const { keys, secret, mesh } = session
    if (message.type === 'room') {
      kept?.setItem(roomKey, keys.room)
      change({ room: message.room, joinLink: `${origin}/${toFragment(secret)}` })
      const others = message.room.devices.filter((other) => other.device !== device)
      mesh?.update(others.filter(({ presence }) => presence === 'here').map((other) => other.device))
      engine?.send({ type: 'room', room: message.room })
    } else if (message.type === 'signal') {
      const { from, sealed } = message
      unsealing = unsealing
        .then(async () => mesh?.receiveSignal(from, await unseal(keys, from, device, sealed)))
        .catch(onProblem)
    } else {
      change({ connection: { phase: 'refused', code: message.code, message: message.message } })
    }
  }

  function leave(): void {
    session?.mesh?.close()
    session?.socket.close(true)
    session = null
  }

  async function newRoom(): Promise<void> {
    if (!isAble) return
    const secret = createJoinSecret()
    options.setFragment(toFragment(secret))
    await enter(secret, true)
  }

  if (isAble) {
    const secret = secretOf(options.location.href)
    if (secret === 'none') await newRoom()
    else if (secret !== 'malformed') await enter(secret, false)
    else {
      const message =
        'This is not a whole join link: the part after # was cut or changed. Scan the QR code again, or ask for the link.'
      change({ connection: { phase: 'refused', code: 'malformed', message } })
    }
  }

  // ── what the page may ask ───────────────────────────────────────────────────────────────────────────────────────

  function needEngine(): EngineWorker {
    if (engine) return engine
    const blocking = missing.find(({ severity }) => severity === 'blocks')
    throw new EngineError(
      blocking?.feature === 'secure-context' ? 'insecure-context' : 'storage-unavailable',
      blocking?.message ?? '',
    )
  }

  async function* generate(
    ...[chat, messages, generateOptions, signal]: Parameters<Cluster['generate']>
  ): AsyncIterable<ChatEvent> {
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
      if (choice) session?.socket.send({ type: 'choose', choice: { ...choice, request } })
    },
    generate,
    rename(wanted) {
      const name = nameFrom(wanted)
      if (name === null) return
      kept?.setItem(nameKey, name)
      change({ name })
      session?.socket.send({ type: 'rename', name })
    },
    setMemoryBudget(memoryBudgetBytes) {
      kept?.setItem(budgetKey, String(memoryBudgetBytes))
      change({ memoryBudgetBytes })
      engine?.send({ type: 'budget', memoryBudgetBytes })
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
    },
  }
}

/** As the protocol takes it; null when nothing is left of it. */
const nameFrom = (text: string): string | null => text.trim().slice(0, maxNameChars).trim() || null

function rememberedBudget(kept: Storage | null): number | null {
  const bytes = Number(kept?.getItem(budgetKey))
  return bytes > 0 ? bytes : null
}

async function fetchOfferedModels(origin: string): Promise<OfferedModel[]> {
  try {
    const response = await fetch(`${origin}/models`)
    if (!response.ok) throw new Error(`it answered ${response.status}`)
    return v.parse(OfferedModels, await response.json())
  } catch (thrown) {
    const why = toEngineError(thrown).message
    throw new EngineError(
      'model-unreachable',
      `The server did not list its models (${why}). Is it still running?`,
    )
  }
}
