/**
 * One ordered, reliable pipe of binary frames to one neighbour, with back-pressure.
 *
 * Implementations: `memory-link.ts` (two ends in one process), `channel-link.ts` (RTCDataChannel or MessagePort).
 *
 * @module
 */

/** What a neighbour can make this device hold before it is read: a chunk of a prompt fits. */
export const maxFrameBytes = 262_144

export type LinkHandlers = {
  /** Each frame, in order; the bytes are the receiver's to keep. */
  onframe(frame: Uint8Array): void
  /** Once, when either end has closed. */
  onclose(): void
}

export interface Link {
  /**
   * Sends one frame; resolves once the queue is short enough for the next.
   *
   * @throws RangeError when the frame exceeds {@link maxFrameBytes}; EngineError 'link-lost' when the link is closed
   */
  send(frame: Uint8Array): Promise<void>
  /** Takes over delivery from whoever listened before; what arrived while nobody did comes first. */
  listen(handlers: LinkHandlers): void
  close(): void
}

/** The receiving half of a link: keeps what arrives before anybody listens. */
export function createInbox() {
  let handlers: LinkHandlers | null = null
  let early: Uint8Array[] = []
  let closed = false
  return {
    deliver(frame: Uint8Array) {
      if (closed) return
      if (handlers) handlers.onframe(frame)
      else early.push(frame)
    },
    close() {
      if (closed) return
      closed = true
      handlers?.onclose()
    },
    listen(next: LinkHandlers) {
      handlers = next
      const frames = early
      early = []
      for (const frame of frames) next.onframe(frame)
      if (closed) next.onclose()
    },
  }
}

export function checkFrameSize(frame: Uint8Array): void {
  if (frame.byteLength > maxFrameBytes) {
    throw new RangeError(`A frame holds at most ${maxFrameBytes} bytes; this one has ${frame.byteLength}`)
  }
}
