/**
 * The WebSocket to the signal server: joins on every connection, reconnects by itself, gives up only when refused.
 *
 * @module
 */
import { parseFromServer, replacedCloseCode, type FromDevice, type FromServer } from '../protocol.ts'

const firstRetryMs = 500
const lastRetryMs = 8000

export type SignalSocketOptions = {
  url: string
  /** What to say first on a new connection; asked afresh each time. */
  join(): FromDevice
  onmessage(message: FromServer): void
  /** This device joined on another connection; this one must not push that out again. */
  onreplaced(): void
  onphase(phase: { phase: 'connecting' | 'online' } | { phase: 'offline'; retryAtMs: number }): void
}

export interface SignalSocket {
  /** Dropped while offline: `join` says all that the server must know. */
  send(message: FromDevice): void
  /** Ends for good; says `leave` first when asked to. */
  close(leave: boolean): void
}

export function createSignalSocket({
  url,
  join,
  onmessage,
  onreplaced,
  onphase,
}: SignalSocketOptions): SignalSocket {
  let socket: WebSocket | null = null
  let retryMs = firstRetryMs
  let timer: ReturnType<typeof setTimeout> | undefined
  let ended = false

  function connect(): void {
    onphase({ phase: 'connecting' })
    const opening = new WebSocket(url)
    socket = opening
    opening.addEventListener('open', () => {
      retryMs = firstRetryMs
      opening.send(JSON.stringify(join()))
    })
    opening.addEventListener('message', ({ data }) => {
      const message = parseFromServer(data)
      if (message === null || ended) return
      if (message.type === 'refused') end(false)
      else onphase({ phase: 'online' })
      onmessage(message)
    })
    opening.addEventListener('close', ({ code }) => {
      if (ended || socket !== opening) return
      if (code === replacedCloseCode) return onreplaced()
      onphase({ phase: 'offline', retryAtMs: Date.now() + retryMs })
      timer = setTimeout(connect, retryMs)
      retryMs = Math.min(retryMs * 2, lastRetryMs)
    })
  }

  const send = (message: FromDevice) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
  }

  function end(leave: boolean): void {
    if (leave) send({ type: 'leave' })
    ended = true
    clearTimeout(timer)
    socket?.close()
  }

  connect()
  return { send, close: end }
}
