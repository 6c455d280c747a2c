/**
 * Server-sent events (HTML Standard §9.2) as the body of a response.
 *
 * @module
 */

/** What a program has not taken by then, it never will: several answers of a whole context. */
const maxUnreadBytes = 1_048_576

export interface EventStream {
  readonly body: ReadableStream<Uint8Array>
  send(data: string): void
  /** A line that clients skip, so that nobody on the way takes the connection for dead. */
  sendSignOfLife(): void
  end(): void
}

/** @param ongone nobody reads any more: the program hung up, or does not take what it is sent */
export function createEventStream(ongone: () => void): EventStream {
  const encoder = new TextEncoder()
  let controller!: ReadableStreamDefaultController<Uint8Array>
  let isOpen = true
  const body = new ReadableStream<Uint8Array>(
    {
      start(opened) {
        controller = opened
      },
      cancel() {
        isOpen = false
        ongone()
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: maxUnreadBytes }),
  )

  function write(text: string): void {
    if (!isOpen) return
    controller.enqueue(encoder.encode(text))
    if (controller.desiredSize! > 0) return
    isOpen = false
    controller.error(new Error(`The program left ${maxUnreadBytes} bytes of its answer unread.`))
    ongone()
  }

  return {
    body,
    send: (data) => write(`data: ${data}\n\n`),
    sendSignOfLife: () => write(': still at it\n\n'),
    end() {
      if (isOpen) controller.close()
      isOpen = false
    },
  }
}
