import { describe, expect, it } from 'vitest'
import { maxFrameBytes } from './link.ts'
import { createJoiner, pieceBytes, piecesOf } from './pieces.ts'

const frameOf = (byteLength: number) => Uint8Array.from({ length: byteLength }, (_, i) => (i * 31) % 251)

function receiver() {
  const frames: Uint8Array[] = []
  let refusals = 0
  const take = createJoiner(
    (frame) => frames.push(frame),
    () => refusals++,
  )
  return { frames, take: (piece: Uint8Array) => take(piece.slice()), refusals: () => refusals }
}

describe('pieces of a frame', () => {
  it('are joined to what they were cut from, frame after frame, whatever its length', () => {
    const { frames, take, refusals } = receiver()
    const sent = [0, 1, pieceBytes - 1, pieceBytes, pieceBytes + 1, 3 * pieceBytes, maxFrameBytes].map(
      frameOf,
    )
    for (const frame of sent) for (const piece of piecesOf(frame)) take(piece)
    expect(frames.map(({ length }) => length)).toEqual(sent.map(({ length }) => length))
    expect(frames.every((frame, i) => Buffer.compare(frame, sent[i]!) === 0)).toBe(true)
    expect(refusals()).toBe(0)
  })

  it('are as many as it takes, and one more where the last one is full', () => {
    const count = (byteLength: number) => [...piecesOf(frameOf(byteLength))].length
    expect([1, pieceBytes - 1, pieceBytes, 2 * pieceBytes - 1].map(count)).toEqual([1, 1, 2, 2])
  })

  it('are refused when they never end, and what follows begins anew', () => {
    const { frames, take, refusals } = receiver()
    for (let byteLength = 0; byteLength <= maxFrameBytes; byteLength += pieceBytes) take(frameOf(pieceBytes))
    expect(refusals()).toBe(1)
    take(frameOf(5))
    expect(frames).toEqual([frameOf(5)])
  })
})
