/**
 * Devices in one process that run a toy model, fast enough for every shape of ring and every order of events to be tried.
 *
 * @module
 */
import type { DeviceId, LayerWindow, Plan } from '@hearth/halda'
import { createReferenceBackend } from '../backend/reference.ts'
import { EngineError } from '../errors.ts'
import type { Head, Layers } from '../model/layers.ts'
import { logitsIn, type Logits } from '../model/logits.ts'
import type { Activation } from '../protocol.ts'
import type { Link } from '../ring/link.ts'
import { createMemoryLinks } from '../ring/memory-link.ts'
import { joinRing, type Ring } from '../ring/ring.ts'
import type { Dtype } from '../wire.ts'

export const dim = 8
export const nLayers = 12
export const prompt = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5]

/**
 * One layer of a toy model whose output depends on the row, the layer, and everything cached before it, in order: a
 * wrong cache, order, window or row changes the tokens. Values are multiples of 1/64 below 4, exact in f16.
 */
function toyLayer(row: Float32Array, layer: number, cache: Float32Array[], position: number): Float32Array {
  cache.length = position
  cache.push(row.slice())
  let history = 0
  for (const [i, past] of cache.entries()) history += past[(i + layer) % dim]! * ((i % 5) + 1)
  return row.map(
    (value, i) => ((Math.round(value * 64) * 5 + Math.round(history * 64) + layer * 7 + i * 3) % 256) / 64,
  )
}

const embed = (tokens: readonly number[]) =>
  Float32Array.from(
    tokens.flatMap((t) => Array.from({ length: dim }, (_, i) => ((t * 37 + i * 11) % 256) / 64)),
  )
const backend = await createReferenceBackend()
const scores = backend.scratch(50)
/** Valid until the next call. */
function logits(row: Float32Array): Logits {
  const scoreOf = (t: number) =>
    (row.reduce((sum, value, i) => sum + value * ((t * (i + 3)) % 17), 0) * 64) % 101
  scores.values().set(Array.from({ length: scores.length }, (_, t) => scoreOf(t)))
  return logitsIn(backend, scores)
}
export const argmax = (logits: Logits) => logits.argmax()
export const toyHead: Head = {
  embed: async (tokens) => embed(tokens),
  logits: async (rows, use) => void rows.every((row, i) => use(logits(row), i) !== false),
}

/** Recomputes the whole sequence for every token: the judge. */
export function naive(tokens: readonly number[], count: number, sample = argmax): number[] {
  const sequence = [...tokens]
  for (let n = 0; n < count; n++) {
    const caches = Array.from({ length: nLayers }, () => [] as Float32Array[])
    let row = new Float32Array()
    for (const [position, token] of sequence.entries()) {
      row = embed([token]) as Float32Array<ArrayBuffer>
      for (let layer = 0; layer < nLayers; layer++)
        row = toyLayer(row, layer, caches[layer]!, position) as Float32Array<ArrayBuffer>
    }
    sequence.push(sample(logits(row)))
  }
  return sequence.slice(tokens.length)
}

export function toyLayers(): Layers {
  const sessions = new Map<string, Float32Array[]>()
  function runOne(a: Activation, count: number): Activation | EngineError {
    let { hidden } = a
    for (let layer = a.layer; layer < a.layer + count; layer++) {
      const key = `${a.session}:${layer}`
      const cache = sessions.get(key) ?? sessions.set(key, []).get(key)!
      if (cache.length < a.position)
        return new EngineError('kv-lost', `layer ${layer} holds ${cache.length} of ${a.position}`)
      const rows = Array.from({ length: a.rows }, (_, r) =>
        toyLayer(hidden.subarray(r * dim, (r + 1) * dim), layer, cache, a.position + r),
      )
      hidden = Float32Array.from(rows.flatMap((row) => [...row]))
    }
    if (a.layer + count < nLayers) return { ...a, layer: a.layer + count, hidden }
    if (a.every) return { ...a, layer: nLayers, hidden }
    const { more: _, ...rest } = a
    const end = a.position + a.rows
    return { ...rest, layer: nLayers, rows: 1, position: end - 1, hidden: hidden.slice(-dim) }
  }
  return {
    run: async (group, count) => group.map((a) => runOne(a, count)),
    release(session) {
      for (const key of sessions.keys())
        if (session === undefined || key.startsWith(`${session}:`)) sessions.delete(key)
    },
    kvBytes: () => 0,
    gatherRows: () => 1,
  }
}

/** Windows of an even split over `n` devices and `rounds` rounds; the last device is the head. */
export function evenPlan(devices: DeviceId[], rounds: number): Plan {
  const visits = rounds * devices.length
  const windows: LayerWindow[] = []
  for (let i = 0; i < visits; i++) {
    const firstLayer = Math.floor((i * nLayers) / visits)
    const layers = Math.floor(((i + 1) * nLayers) / visits) - firstLayer
    if (layers > 0) windows.push({ device: devices[i % devices.length]!, firstLayer, layers, gpuLayers: 0 })
  }
  return { head: devices.at(-1)!, rounds, windows, predictedTpotMs: 0 }
}

/** Devices in one process, joined by links that take as long as a seeded die says. */
export function toyRing(
  n: number,
  rounds: number,
  dtype: Dtype = 'f32',
  plan?: (devices: DeviceId[]) => Plan,
  wrap: (layers: Layers, device: number) => Layers = (layers) => layers,
) {
  const devices = ['alice', 'bob', 'charlie', 'dora'].slice(0, n).map((name) => `${name}-device` as DeviceId)
  let seed = 7
  const delay = () => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff
    return seed % 3 === 0 ? new Promise<void>((resolve) => setTimeout(resolve, seed % 4)) : Promise.resolve()
  }
  const links = new Map<string, Link>()
  let hops = 0
  for (const [i, a] of devices.entries()) {
    for (const b of devices.slice(i + 1)) {
      const [toB, toA] = createMemoryLinks(delay)
      links.set(`${a}>${b}`, toB).set(`${b}>${a}`, toA)
    }
  }
  const rings = new Map<DeviceId, Ring>()
  const numbered = { number: 1, plan: (plan ?? ((d) => evenPlan(d, rounds)))(devices) }
  for (const [i, me] of devices.entries()) {
    const ring = joinRing({
      me,
      numbered,
      dim,
      dtype,
      layers: wrap(toyLayers(), i),
      linkTo: (device) => links.get(`${me}>${device}`),
      onfailed: (session, error) => rings.get(numbered.plan.head)!.fail(error, session),
    })
    rings.set(me, ring)
    for (const from of devices) {
      links.get(`${me}>${from}`)?.listen({
        onframe(frame) {
          hops++
          ring.receive(from, frame)
        },
        onclose: () => rings.get(numbered.plan.head)!.fail(new EngineError('link-lost', `${from} is gone`)),
      })
    }
  }
  const ring = rings.get(numbered.plan.head)!
  return { ring, rings, devices, links, hops: () => hops }
}
