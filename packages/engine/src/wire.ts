/**
 * An activation as bytes: one frame of a link. Little-endian.
 *
 *  0  u8   version = 3         4  u32  position       12  u16  dim
 *  1  u8   dtype 0 f32 · 1 f16  8  u16  rows           14  u16  plan
 *  2  u16  session             10  u16  layer          16  f32  computing, in ms
 *                                                      20  …    hidden (rows, dim)
 *
 * The dtype has 128 added where more frames of the same volley follow, 64 where a device read weights to run these rows, and
 * 32 where every row is wanted back. A frame without rows (dim 0) ends a volley whose last rows were lost on the way.
 *
 * A probe has 240 in place of the version, is as long as the activation that it stands for, and says its number at 4.
 * Its echo is the same with 241.
 *
 * @module
 */
import { decodeHalves, encodeHalves } from './half.ts'
import type { Activation } from './protocol.ts'
import { maxFrameBytes } from './ring/link.ts'

export type Dtype = 'f32' | 'f16'

const frameVersion = 3
const headerBytes = 20
const moreFlag = 128
const readFlag = 64
const everyFlag = 32
const bytesPerValue = { f32: 4, f16: 2 } as const

/** Most rows of width `dim` that fit one frame: the prefill chunk. */
export function maxRowsPerFrame(dim: number, dtype: Dtype): number {
  return Math.max(1, Math.floor((maxFrameBytes - headerBytes) / (dim * bytesPerValue[dtype])))
}

/** @throws RangeError when a field does not fit its place in the header, or the frame its message */
export function encodeActivation(a: Activation, dtype: Dtype): Uint8Array {
  const dim = a.rows === 0 ? 0 : a.hidden.length / a.rows
  const byteLength = headerBytes + a.hidden.length * bytesPerValue[dtype]
  if (byteLength > maxFrameBytes) {
    throw new RangeError(
      `${a.rows} rows of ${dim} in ${dtype} make ${byteLength} bytes; a frame holds ${maxFrameBytes}`,
    )
  }
  for (const field of [a.session, a.rows, a.layer, a.plan, dim]) {
    if (!Number.isInteger(field) || field < 0 || field > 0xffff)
      throw new RangeError(`${field} does not fit 16 bits`)
  }
  const frame = new Uint8Array(byteLength)
  const header = new DataView(frame.buffer)
  header.setUint8(0, frameVersion)
  const flags = (a.more ? moreFlag : 0) + (a.read ? readFlag : 0) + (a.every ? everyFlag : 0)
  header.setUint8(1, (dtype === 'f16' ? 1 : 0) + flags)
  header.setUint16(2, a.session, true)
  header.setUint32(4, a.position, true)
  header.setUint16(8, a.rows, true)
  header.setUint16(10, a.layer, true)
  header.setUint16(12, dim, true)
  header.setUint16(14, a.plan, true)
  header.setFloat32(16, a.computeMs ?? 0, true)
  if (dtype === 'f16') encodeHalves(a.hidden, new Uint16Array(frame.buffer, headerBytes))
  else new Float32Array(frame.buffer, headerBytes).set(a.hidden)
  return frame
}

/** The activation, or null when the bytes are not a frame of hidden states `dim` wide. */
export function decodeActivation(frame: Uint8Array, dim: number): Activation | null {
  if (frame.byteLength < headerBytes || frame.byteLength > maxFrameBytes) return null
  const header = new DataView(frame.buffer, frame.byteOffset, headerBytes)
  const flags = header.getUint8(1)
  const kind = flags % everyFlag
  const dtype: Dtype | null = kind === 1 ? 'f16' : kind === 0 ? 'f32' : null
  if (header.getUint8(0) !== frameVersion || dtype === null) return null
  const rows = header.getUint16(8, true)
  if (header.getUint16(12, true) !== (rows === 0 ? 0 : dim)) return null
  if (frame.byteLength !== headerBytes + rows * dim * bytesPerValue[dtype]) return null
  const computeMs = header.getFloat32(16, true)
  const data = frame.slice(headerBytes).buffer
  const hidden = dtype === 'f16' ? decodeHalves(new Uint16Array(data)) : new Float32Array(data)
  return {
    plan: header.getUint16(14, true),
    session: header.getUint16(2, true),
    position: header.getUint32(4, true),
    layer: header.getUint16(10, true),
    rows,
    ...(flags & moreFlag ? { more: true } : {}),
    ...(flags & readFlag ? { read: true } : {}),
    ...(flags & everyFlag ? { every: true } : {}),
    ...(computeMs > 0 && computeMs < Infinity ? { computeMs } : {}),
    hidden,
  }
}

const probeMarkers = { probe: 240, echo: 241 } as const

/** A probe as long as an activation of so many rows, or as long as a frame may be. */
export function encodeProbe(id: number, rows: number, dim: number, dtype: Dtype): Uint8Array {
  const frame = new Uint8Array(Math.min(maxFrameBytes, headerBytes + rows * dim * bytesPerValue[dtype]))
  const header = new DataView(frame.buffer)
  header.setUint8(0, probeMarkers.probe)
  header.setUint32(4, id, true)
  return frame
}

/** Turns a probe into its echo, in place. */
export function toEcho(frame: Uint8Array): Uint8Array {
  frame[0] = probeMarkers.echo
  return frame
}

/** Which probe or echo this is, or null when it is neither. */
export function decodeProbe(frame: Uint8Array): { kind: 'probe' | 'echo'; id: number } | null {
  if (frame.byteLength < headerBytes || frame.byteLength > maxFrameBytes) return null
  const header = new DataView(frame.buffer, frame.byteOffset, headerBytes)
  const marker = header.getUint8(0)
  if (marker !== probeMarkers.probe && marker !== probeMarkers.echo) return null
  return { kind: marker === probeMarkers.probe ? 'probe' : 'echo', id: header.getUint32(4, true) }
}
