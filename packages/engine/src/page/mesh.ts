/**
 * One peer for every other device of the room: who calls whom, what happens when a call fails, and whether the other
 * end still answers.
 *
 * A page that has just loaded calls everybody it finds; when two call each other at once, the smaller id's call
 * stands. A call is known by a number of its own, so that late signals of an older one do no harm.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'
import * as v from 'valibot'
import { parseControlMessage, protocolVersion, type ControlMessage } from '../protocol.ts'
import { createPeer, type Peer } from './peer.ts'

const pingEveryMs = 2000
/** ICE calls a vanished device 'failed' after 15 s and a frozen tab never (Chromium 156); pings decide sooner. */
const silentAfterMs = 9000
const callTimeoutMs = 12_000
/** A server that restarted learns only by and by who is in the room: connections that work are not cut for that. */
const absenceMs = 30_000

const SealedSignal = v.object({
  call: v.pipe(v.string(), v.maxLength(64)),
  signal: v.looseObject({ type: v.pipe(v.string(), v.maxLength(32)) }),
})
type SealedSignal = v.InferOutput<typeof SealedSignal>

export type LinkPhase = 'connecting' | 'open' | 'failed'

export type MeshOptions = {
  me: DeviceId
  /** Seals and sends; the mesh does not know how. */
  sendSignal(to: DeviceId, signal: SealedSignal): void
  /** Called in the task that made the channel. */
  onring(peer: DeviceId, channel: RTCDataChannel): void
  oncontrol(from: DeviceId, message: ControlMessage): void
  onclosed(peer: DeviceId): void
  /** It no longer answers, or never did. */
  onsilent(peer: DeviceId): void
  onchange(): void
}

type Call = {
  id: string
  mine: boolean
  peer: Peer
  phase: LinkPhase
  startedAtMs: number
  heardAtMs: number
}

export interface Mesh {
  /**
   * Who is here now, this device left out; a device that is away would never get the call. Calls newcomers' way only on
   * the first call of a page.
   */
  update(devices: readonly DeviceId[]): void
  receiveSignal(from: DeviceId, signal: unknown): void
  send(to: DeviceId, message: ControlMessage): void
  phases(): Record<DeviceId, LinkPhase>
  close(): void
}

export function createMesh(options: MeshOptions): Mesh {
  const { me, sendSignal, onring, oncontrol, onclosed, onsilent, onchange } = options
  const calls = new Map<DeviceId, Call>()
  let present: readonly DeviceId[] = []
  /** When a device was last seen in the room. */
  const seenAtMs = new Map<DeviceId, number>()
  const uncalledSinceMs = new Map<DeviceId, number>()
  /** Devices that fell silent or never answered, until they do. */
  const unreached = new Set<DeviceId>()
  let greeted = false
  let closed = false

  function start(device: DeviceId, id: string, mine: boolean): Call {
    hangUp(device)
    const now = performance.now()
    const call: Omit<Call, 'peer'> & { peer?: Peer } = {
      id,
      mine,
      phase: 'connecting',
      startedAtMs: now,
      heardAtMs: now,
    }
    call.peer = createPeer({
      initiator: mine,
      onsignal: (signal) => sendSignal(device, { call: id, signal: signal as SealedSignal['signal'] }),
      onring: (channel) => onring(device, channel),
      onopen() {
        call.phase = 'open'
        call.heardAtMs = performance.now()
        unreached.delete(device)
        send(device, { type: 'hello', version: protocolVersion })
        onchange()
      },
      ontext: (text) => receive(device, call as Call, text),
      onclose() {
        if (calls.get(device) !== call) return
        call.phase = 'failed'
        onclosed(device)
        onchange()
      },
    })
    calls.set(device, call as Call)
    onchange()
    return call as Call
  }

  function hangUp(device: DeviceId): void {
    const call = calls.get(device)
    if (!call) return
    calls.delete(device)
    call.peer.close()
    onclosed(device)
  }

  function receive(device: DeviceId, call: Call, text: string): void {
    call.heardAtMs = performance.now()
    const message = parseControlMessage(text)
    if (message === null) return
    if (message.type === 'ping') send(device, { type: 'pong', sentAtMs: message.sentAtMs })
    else if (message.type === 'hello' && message.version !== protocolVersion) call.peer.close()
    else oncontrol(device, message)
  }

  function send(to: DeviceId, message: ControlMessage): void {
    calls.get(to)?.peer.send(JSON.stringify(message))
  }

  /** Of the two ends of a broken connection, the smaller id calls again. */
  const callsBack = (device: DeviceId) => me < device

  function look(device: DeviceId, call: Call, now: number): void {
    if (now - (seenAtMs.get(device) ?? call.startedAtMs) > absenceMs) return hangUp(device)
    if (call.phase === 'open' && now - call.heardAtMs <= silentAfterMs) {
      return send(device, { type: 'ping', sentAtMs: now })
    }
    // The server hears complaints about devices of the plan alone, and a plan may have come since the last one.
    const isSilent = unreached.has(device) && now - call.startedAtMs > silentAfterMs
    if (isSilent && present.includes(device)) onsilent(device)
    if (call.phase === 'connecting' && now - call.startedAtMs <= callTimeoutMs) return
    if (call.phase !== 'failed') {
      call.phase = 'failed'
      unreached.add(device)
      call.peer.close()
      onclosed(device)
      onsilent(device)
      onchange()
    }
    if (callsBack(device) && present.includes(device)) start(device, crypto.randomUUID(), true)
  }

  let tickedAtMs = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    // A tab that was frozen heard nobody, but that says nothing about them.
    const frozenMs = now - tickedAtMs - pingEveryMs
    if (frozenMs > pingEveryMs) for (const call of calls.values()) call.heardAtMs += frozenMs
    tickedAtMs = now
    for (const device of present) {
      const uncalledMs = now - (uncalledSinceMs.get(device) ?? now)
      seenAtMs.set(device, now)
      if (calls.has(device)) uncalledSinceMs.delete(device)
      // Nobody called: an end's first view of the room may have come before the other's, or the other end cannot call.
      else if (callsBack(device) || uncalledMs > callTimeoutMs) start(device, crypto.randomUUID(), true)
      else if (uncalledMs === 0) uncalledSinceMs.set(device, now)
    }
    for (const [device, call] of calls) look(device, call, now)
  }, pingEveryMs)

  return {
    update(devices) {
      present = devices
      if (!greeted) for (const device of devices) start(device, crypto.randomUUID(), true)
      greeted = true
    },
    receiveSignal(from, value) {
      const parsed = v.safeParse(SealedSignal, value)
      if (!parsed.success || from === me || closed) return
      const { call: id, signal } = parsed.output
      const current = calls.get(from)
      if (signal.type === 'offer' && current?.id !== id) {
        const bothCalled = current?.mine === true && current.phase === 'connecting'
        // This call stands, but its offer may have gone to a page that was just being left: it is made again.
        if (bothCalled && me < from) return void start(from, crypto.randomUUID(), true)
        start(from, id, false)
      }
      const call = calls.get(from)
      if (call?.id === id) call.peer.signal(signal as Parameters<Peer['signal']>[0])
    },
    send,
    // The next try of a connection that failed is no news until it succeeds.
    phases: () =>
      Object.fromEntries(
        [...calls].map(([device, { phase }]) => [device, unreached.has(device) ? 'failed' : phase]),
      ),
    close() {
      closed = true
      clearInterval(timer)
      for (const device of calls.keys()) hangUp(device)
    },
  }
}
