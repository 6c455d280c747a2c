/**
 * A link over an RTCDataChannel, or over a MessagePort to a page that bridges one (browsers that cannot transfer a
 * channel to a worker: Chrome before 130, Firefox before 144).
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { checkFrameSize, createInbox, type Link } from './link.ts'
import { createJoiner, piecesOf } from './pieces.ts'

/** Queue length above which `send` waits. Chromium refuses beyond 16 MiB (measured, 156). */
const highWaterBytes = 1_048_576
const lowWaterBytes = 262_144

/** What is needed of an RTCDataChannel; lib webworker does not know the type. */
export interface DataChannel extends EventTarget {
  binaryType: string
  readonly readyState: 'connecting' | 'open' | 'closing' | 'closed'
  readonly bufferedAmount: number
  bufferedAmountLowThreshold: number
  send(data: Uint8Array<ArrayBuffer>): void
  close(): void
}

/** Resolves when the channel is open; never, when it closes first. */
export function createChannelLink(channel: DataChannel): Promise<Link> {
  channel.binaryType = 'arraybuffer'
  channel.bufferedAmountLowThreshold = lowWaterBytes
  const inbox = createInbox()
  const lost = () => new EngineError('link-lost', 'The connection to the next device closed.')
  const receive = createJoiner(inbox.deliver, () => link.close())
  channel.addEventListener('message', (event) => {
    const { data } = event as MessageEvent
    if (data instanceof ArrayBuffer) receive(new Uint8Array(data))
  })
  channel.addEventListener('close', inbox.close)
  const link: Link = {
    async send(frame) {
      checkFrameSize(frame)
      if (channel.readyState !== 'open') throw lost()
      try {
        for (const piece of piecesOf(frame)) channel.send(piece as Uint8Array<ArrayBuffer>)
      } catch {
        // The rest of a frame cannot be sent any more, nor another one without it.
        link.close()
        throw lost()
      }
      if (channel.bufferedAmount <= highWaterBytes) return
      await new Promise<void>((resolve, reject) => {
        channel.addEventListener('bufferedamountlow', () => resolve(), { once: true })
        channel.addEventListener('close', () => reject(lost()), { once: true })
      })
    },
    listen: inbox.listen,
    close() {
      channel.close()
      inbox.close()
    },
  }
  return new Promise((resolve) => {
    if (channel.readyState === 'open') resolve(link)
    else channel.addEventListener('open', () => resolve(link), { once: true })
  })
}

/** What travels on a bridging port: frames both ways, then 'open' and 'closed' from the page, 'close' to it. */
export type BridgeMessage = ArrayBuffer | 'open' | 'closed' | 'close' | 'drained'

/**
 * The worker's end of a channel that stays on the page. The page answers each frame with 'drained' once its channel's
 * queue is short again, which is the back-pressure.
 */
export function createPortLink(port: MessagePort): Promise<Link> {
  const inbox = createInbox()
  const waiting: { resolve(): void; reject(error: EngineError): void }[] = []
  let open = true
  const end = () => {
    open = false
    for (const { reject } of waiting.splice(0)) {
      reject(new EngineError('link-lost', 'The connection to the next device closed.'))
    }
    inbox.close()
  }
  const link: Link = {
    send(frame) {
      return new Promise((resolve, reject) => {
        checkFrameSize(frame)
        if (!open) throw new EngineError('link-lost', 'The connection to the next device is closed.')
        waiting.push({ resolve, reject })
        const buffer = frame.slice().buffer
        port.postMessage(buffer, [buffer])
      })
    },
    listen: inbox.listen,
    close() {
      port.postMessage('close' satisfies BridgeMessage)
      end()
    },
  }
  return new Promise((resolve) => {
    port.addEventListener('message', ({ data }: MessageEvent<BridgeMessage>) => {
      if (data instanceof ArrayBuffer) inbox.deliver(new Uint8Array(data))
      else if (data === 'drained') waiting.shift()?.resolve()
      else if (data === 'closed') end()
      else if (data === 'open') resolve(link)
    })
    port.start()
  })
}

/** The page's end of a bridge: joins a channel to a port. */
export function bridgeChannel(channel: DataChannel, port: MessagePort): void {
  channel.binaryType = 'arraybuffer'
  channel.bufferedAmountLowThreshold = lowWaterBytes
  const drained = () => port.postMessage('drained' satisfies BridgeMessage)
  const closed = () => port.postMessage('closed' satisfies BridgeMessage)
  /** A frame that is not sent would be waited for. */
  const fail = () => {
    channel.close()
    closed()
  }
  port.addEventListener('messageerror', fail)
  port.addEventListener('message', ({ data }: MessageEvent<BridgeMessage>) => {
    if (data === 'close') return channel.close()
    if (!(data instanceof ArrayBuffer)) return
    try {
      if (channel.readyState !== 'open') return fail()
      for (const piece of piecesOf(new Uint8Array(data))) channel.send(piece as Uint8Array<ArrayBuffer>)
    } catch {
      // Chromium 156 refuses when 16 MiB wait.
      return fail()
    }
    if (channel.bufferedAmount <= highWaterBytes) drained()
    else channel.addEventListener('bufferedamountlow', drained, { once: true })
  })
  port.start()
  const receive = createJoiner(({ buffer }) => port.postMessage(buffer, [buffer]), fail)
  channel.addEventListener('message', (event) => {
    const { data } = event as MessageEvent
    if (data instanceof ArrayBuffer) receive(new Uint8Array(data))
  })
  channel.addEventListener('close', closed)
  if (channel.readyState === 'open') port.postMessage('open' satisfies BridgeMessage)
  else
    channel.addEventListener('open', () => port.postMessage('open' satisfies BridgeMessage), { once: true })
}
