/**
 * One ordered, reliable pipe of binary frames to one neighbour, with back-pressure.
 *
 * Implementations: `memory-link.ts` (two ends in one process), `channel-link.ts` (RTCDataChannel or MessagePort).
 *
 * @module
 */
export interface Link {
  /** Sends one frame (at most {@link maxFrameBytes}). Resolves once the queue is short enough to send the next. @throws EngineError 'link-lost' */
  send(frame: Uint8Array): Promise<void>
  /** Called with each frame, in order. The bytes are the receiver's to keep. */
  onframe: ((frame: Uint8Array) => void) | null
  /** Called once, when the other end is gone or `close` was called. */
  onclose: (() => void) | null
  close(): void
}

/** Chromium's and Firefox's maxMessageSize; one frame is one data-channel message (measured in Chromium 156). */
export const maxFrameBytes = 262_144
