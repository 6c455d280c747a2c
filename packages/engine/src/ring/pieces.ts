/**
 * Frames as messages that leave at once.
 *
 * SCTP lets four packets go when a message is sent, and further ones when the first are acknowledged (RFC 9260 §6.1,
 * Max.Burst; so do Chromium 156 and Firefox). A frame that is one message takes a round trip for every four packets; in
 * pieces of four packets, all that the congestion window allows is on its way together.
 *
 * A frame ends with the first piece that is shorter than {@link pieceBytes}, which may be empty.
 *
 * @module
 */
import { maxFrameBytes } from './link.ts'

/** Four packets of 1200 bytes without the headers of IP, DTLS and SCTP. */
export const pieceBytes = 4600

/** Views into the frame. */
export function* piecesOf(frame: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at <= frame.byteLength; at += pieceBytes) yield frame.subarray(at, at + pieceBytes)
}

/**
 * @param deliver takes each frame; the bytes are the receiver's to keep
 * @param refuse told instead, when pieces go on beyond {@link maxFrameBytes}
 * @returns to be given each piece, in order
 */
export function createJoiner(
  deliver: (frame: Uint8Array<ArrayBuffer>) => void,
  refuse: () => void,
): (piece: Uint8Array<ArrayBuffer>) => void {
  let pieces: Uint8Array<ArrayBuffer>[] = []
  let byteLength = 0
  return (piece) => {
    pieces.push(piece)
    byteLength += piece.byteLength
    const isLast = piece.byteLength < pieceBytes
    if (!isLast && byteLength <= maxFrameBytes) return
    const whole = pieces
    const frameBytes = byteLength
    pieces = []
    byteLength = 0
    if (frameBytes > maxFrameBytes) refuse()
    else deliver(whole.length === 1 ? piece : joined(whole, frameBytes))
  }
}

function joined(pieces: readonly Uint8Array[], byteLength: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(byteLength)
  for (const [i, piece] of pieces.entries()) frame.set(piece, i * pieceBytes)
  return frame
}
