/**
 * The engine worker as the page sees it: messages out, events in, calls that are answered.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { ModelChoice } from '../protocol.ts'
import type { DataChannel } from '../ring/channel-link.ts'
import { bridgeChannel } from '../ring/channel-link.ts'
import type { EngineCall, EngineEvent, EngineRequest, StartOptions } from '../worker/messages.ts'

type Call = EngineCall extends infer C ? (C extends EngineCall ? Omit<C, 'id'> : never) : never

export interface EngineWorker {
  send(request: Exclude<EngineRequest, EngineCall | { type: 'channel' }>): void
  /** @throws EngineError what the worker says */
  call(request: Call): Promise<ModelChoice | null>
  /** Hands over a ring channel: itself where the browser can (Chrome 130, Firefox 144), else a bridge to it. */
  handOver(peer: StartOptions['device'], channel: DataChannel): void
  close(): void
}

export function startEngineWorker(
  options: StartOptions,
  onevent: (event: EngineEvent) => void,
  /** It will not answer any more. */
  onstopped: (error: EngineError) => void,
): EngineWorker {
  const worker = new Worker(new URL('../worker/main.ts', import.meta.url), { type: 'module', name: 'engine' })
  const calls = new Map<
    number,
    { resolve(choice: ModelChoice | null): void; reject(error: EngineError): void }
  >()
  let nextId = 0
  worker.addEventListener('message', ({ data: event }: MessageEvent<EngineEvent>) => {
    if (event.type === 'reply') calls.get(event.id)?.resolve(event.result)
    else if (event.type === 'reply-failed')
      calls.get(event.id)?.reject(new EngineError(event.code, event.message))
    else return onevent(event)
    calls.delete(event.id)
  })
  worker.addEventListener('error', ({ message }) => {
    worker.terminate()
    // A script that could not be fetched has no message.
    const reason = message || 'its program could not be loaded'
    const error = new EngineError('bug', `The engine stopped: ${reason}. Reload the page.`)
    for (const { reject } of calls.values()) reject(error)
    calls.clear()
    onstopped(error)
  })
  const post = (request: EngineRequest, transfer: Transferable[] = []) =>
    worker.postMessage(request, transfer)
  post({ type: 'start', options })
  return {
    send: (request) => post(request),
    call(request) {
      const id = nextId++
      return new Promise((resolve, reject) => {
        calls.set(id, { resolve, reject })
        post({ ...request, id })
      })
    },
    handOver(peer, channel) {
      try {
        post({ type: 'channel', peer, channel }, [channel as unknown as Transferable])
      } catch {
        const { port1, port2 } = new MessageChannel()
        bridgeChannel(channel, port1)
        post({ type: 'channel', peer, channel: port2 }, [port2])
      }
    },
    close: () => worker.terminate(),
  }
}
