import { describe, expect, it } from 'vitest'
import type { Activation } from './protocol.ts'
import { maxFrameBytes } from './ring/link.ts'
import {
  decodeActivation,
  decodeProbe,
  encodeActivation,
  encodeProbe,
  maxRowsPerFrame,
  toEcho,
} from './wire.ts'

const activation = (rows: number, dim: number) => ({
  plan: 65_535,
  session: 40_000,
  position: 4_000_000_000,
  layer: 79,
  rows,
  hidden: Float32Array.from({ length: rows * dim }, (_, i) => Math.sin(i) * 3),
})

describe('an activation on the wire', () => {
  it('comes back as it went in f32, and to half precision in f16', () => {
    const a = activation(3, 24)
    expect(decodeActivation(encodeActivation(a, 'f32'), 24)).toEqual(a)
    const half = decodeActivation(encodeActivation(a, 'f16'), 24)!
    expect({ ...half, hidden: null }).toEqual({ ...a, hidden: null })
    for (const [i, value] of half.hidden.entries())
      expect(Math.abs(value - a.hidden[i]!)).toBeLessThan(2 ** -10)
    expect(half.hidden).not.toEqual(a.hidden)
  })

  it('is decoded from any offset of a larger buffer', () => {
    const frame = encodeActivation(activation(1, 8), 'f32')
    const larger = new Uint8Array(frame.length + 5)
    larger.set(frame, 3)
    expect(decodeActivation(larger.subarray(3, 3 + frame.length), 8)).toEqual(activation(1, 8))
  })

  it('fills a frame with as many rows as fit, and refuses one more', () => {
    const rows = maxRowsPerFrame(4096, 'f16')
    expect(rows).toBe(31)
    expect(encodeActivation(activation(rows, 4096), 'f16').byteLength).toBeLessThanOrEqual(maxFrameBytes)
    expect(() => encodeActivation(activation(rows + 1, 4096), 'f16')).toThrow(/a frame holds 262144/)
  })

  it('says whether more of its volley follow, whether weights were read for it, and whether every row is wanted', () => {
    for (const flags of [
      {},
      { more: true },
      { read: true },
      { every: true },
      { more: true, read: true, every: true },
    ] as const) {
      const a: Activation = { ...activation(3, 8), ...flags }
      expect(decodeActivation(encodeActivation(a, 'f32'), 8)).toEqual(a)
      const { hidden: _, ...half } = decodeActivation(encodeActivation(a, 'f16'), 8)!
      expect({ ...half, hidden: a.hidden }).toEqual(a)
    }
  })

  it('says how long its rows were computed, unless that is no time', () => {
    const a: Activation = { ...activation(1, 8), computeMs: 12.5 }
    expect(decodeActivation(encodeActivation(a, 'f32'), 8)).toEqual(a)
    for (const computeMs of [-1, NaN, Infinity]) {
      expect(decodeActivation(encodeActivation({ ...a, computeMs }, 'f32'), 8)).toEqual(activation(1, 8))
    }
  })

  it('may have no rows, and then says only that its volley ends', () => {
    const a: Activation = activation(0, 8)
    const frame = encodeActivation(a, 'f16')
    expect(frame.byteLength).toBe(20)
    expect(decodeActivation(frame, 8)).toEqual(a)
  })

  it('is null for every frame cut short, of another width, version or dtype', () => {
    const frame = encodeActivation(activation(2, 16), 'f16')
    for (let length = 0; length < frame.length; length++)
      expect(decodeActivation(frame.subarray(0, length), 16)).toBeNull()
    expect(decodeActivation(frame, 32)).toBeNull()
    expect(
      decodeActivation(
        Uint8Array.from(frame, (byte, i) => (i === 0 ? 1 : byte)),
        16,
      ),
    ).toBeNull()
    expect(
      decodeActivation(
        Uint8Array.from(frame, (byte, i) => (i === 1 ? 7 : byte)),
        16,
      ),
    ).toBeNull()
    expect(
      decodeActivation(
        Uint8Array.from(frame, (byte, i) => (i === 8 || i === 9 ? 0 : byte)),
        16,
      ),
    ).toBeNull()
  })

  it('refuses fields that do not fit their place', () => {
    expect(() => encodeActivation({ ...activation(1, 8), session: 65_536 }, 'f32')).toThrow(/16 bits/)
  })
})

describe('a probe on the wire', () => {
  it('is as long as the activation that it stands for, or as a frame may be', () => {
    expect(encodeProbe(1, 3, 24, 'f16').length).toBe(encodeActivation(activation(3, 24), 'f16').length)
    expect(encodeProbe(1, 32, 8192, 'f32').length).toBe(maxFrameBytes)
  })

  it('says its number there and back, and is no activation, nor an activation a probe', () => {
    const probe = encodeProbe(4_000_000_000, 1, 24, 'f16')
    expect(decodeProbe(probe)).toEqual({ kind: 'probe', id: 4_000_000_000 })
    expect(decodeActivation(probe, 24)).toBeNull()
    expect(decodeProbe(toEcho(probe))).toEqual({ kind: 'echo', id: 4_000_000_000 })
    expect(decodeActivation(probe, 24)).toBeNull()
    expect(decodeProbe(encodeActivation(activation(1, 24), 'f16'))).toBeNull()
    expect(decodeProbe(probe.subarray(0, 15))).toBeNull()
  })
})
